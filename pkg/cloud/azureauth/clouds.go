package azureauth

import (
	"strings"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Cloud says where the services of one Azure cloud are.
type Cloud struct {
	ServiceBus string // suffix of Service Bus and Event Hubs hosts, such as "servicebus.windows.net"
	Storage    string // suffix of storage hosts after "blob." or "queue.", such as "core.windows.net"
	Authority  string // where identities log in, with a slash at the end
}

// Private is the name of a cloud whose suffixes the user gives. Its case does not
// matter.
const Private = "Private"

// FindCloud returns the cloud of a name as users write it, in any case; the empty
// name is the public cloud. Private clouds and Azure Stack, whose places only a
// file of the process could tell, are not found.
func FindCloud(name string) (c Cloud, ok bool) {
	switch strings.ToLower(name) {
	case "", "azurepubliccloud", "azurecloud":
		return Cloud{"servicebus.windows.net", "core.windows.net", "https://login.microsoftonline.com/"}, true
	case "azureusgovernmentcloud", "azureusgovernment":
		return Cloud{"servicebus.usgovcloudapi.net", "core.usgovcloudapi.net", "https://login.microsoftonline.us/"}, true
	case "azurechinacloud":
		return Cloud{"servicebus.chinacloudapi.cn", "core.chinacloudapi.cn", "https://login.chinacloudapi.cn/"}, true
	case "azuregermancloud":
		return Cloud{"servicebus.cloudapi.de", "core.cloudapi.de", "https://login.microsoftonline.de/"}, true
	}
	return Cloud{}, false
}

// Suffix returns the suffix that hosts of a service have in the cloud that
// parameter "cloud" names: what pick takes of a known cloud, or own, as it is,
// when the cloud is private. Key names the parameter that own came from. The
// error is a *param.Error.
func Suffix(cloud, own, key string, pick func(Cloud) string) (string, error) {
	if strings.EqualFold(cloud, Private) {
		if own == "" {
			return "", param.Wrong(key, "is required when \"cloud\" is Private")
		}
		return own, nil
	}
	if c, ok := FindCloud(cloud); ok {
		return pick(c), nil
	}
	if strings.EqualFold(cloud, "AzureStackCloud") {
		return "", param.Wrong("cloud", "names a cloud whose hosts are not known here; use Private and give %q", key)
	}
	return "", param.Wrong("cloud", "must be one of AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, AzureGermanCloud, Private")
}

// BindCloud declares parameter "cloud".
func BindCloud(dst *string, p *param.Set) {
	p.String(dst, "cloud", "Azure cloud of an identity's namespace or account: AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, AzureGermanCloud, or Private with a suffix of its own. The public cloud when empty.")
}
