package awsauth

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// domains are what the names of AWS's regional services end in: those of all
// partitions, for one version of the Internet Protocol and for both.
func domains() []string {
	return []string{
		"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "c2s.ic.gov", "sc2s.sgov.gov", "csp.hci.ic.gov", "cloud.adc-e.uk",
		"api.aws", "api.amazonwebservices.com.cn", "api.amazonwebservices.eu", "api.aws.ic.gov", "api.aws.scloud", "api.aws.hci.ic.gov", "api.cloud-aws.adc-e.uk",
	}
}

// mayReach refuses to show a session of the process, or of a role that it takes,
// to a server that is not the service itself: whoever writes a trigger chooses the
// server, and one that is shown a request could pass it on. An identity that the
// operator made for all namespaces may go anywhere, and so may keys, which are the
// user's own.
func (s Settings) mayReach(service string, shared bool) error {
	if s.endpoint.IsZero() || s.way == byKeys || s.way == unknown || shared {
		return nil
	}
	if u, err := url.Parse(s.endpoint.Base); err == nil && u.Scheme == "https" && isService(u.Hostname(), service) {
		return nil
	}
	return param.Wrong("awsEndpoint", "must be an https:// address of the service itself, such as https://%s.eu-west-1.amazonaws.com or that of a VPC endpoint: "+
		"the process's own identity goes nowhere else; use static keys, or the podIdentity of a ClusterTriggerAuthentication, which is the operator's word for it", service)
}

// isService reports whether host is a regional address of the service, public or
// that of a VPC endpoint. Below the domains of AWS there are servers of its
// customers too, so the service must stand where its name does.
func isService(host, service string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(domains(), func(domain string) bool {
		rest, ok := strings.CutSuffix(host, "."+domain)
		labels := strings.Split(rest, ".")
		n := len(labels)
		if n == 4 && labels[3] == "vpce" && strings.HasPrefix(labels[0], "vpce-") {
			labels, n = labels[1:3], 2
		}
		return ok && n == 2 && (labels[0] == service || labels[0] == service+"-fips") && isRegion(labels[1])
	})
}

// isRegion reports whether a region can be part of a host's name. Any other would
// make requests to a server of the user's choice.
func isRegion(region string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`).MatchString(region)
}

const wrongRegion = "must be the name of a region, of letters, digits and hyphens"
