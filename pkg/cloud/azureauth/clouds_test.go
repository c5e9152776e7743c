package azureauth_test

import (
	"fmt"
	"testing"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
)

func TestSuffix(t *testing.T) {
	storage := func(c azureauth.Cloud) string { return "blob." + c.Storage }
	bus := func(c azureauth.Cloud) string { return c.ServiceBus }
	login := func(c azureauth.Cloud) string { return c.Authority }
	const unknown = `parameter "cloud" must be one of AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, AzureGermanCloud, Private`
	for _, c := range []struct {
		cloud, own string
		pick       func(azureauth.Cloud) string
		want, err  string
	}{
		{"", "", bus, "servicebus.windows.net", ""},
		{"", "ignored", bus, "servicebus.windows.net", ""},
		{"AzurePublicCloud", "", storage, "blob.core.windows.net", ""},
		{"azurecloud", "", login, "https://login.microsoftonline.com/", ""},
		{"AzureUSGovernmentCloud", "", bus, "servicebus.usgovcloudapi.net", ""},
		{"AzureUSGovernment", "", storage, "blob.core.usgovcloudapi.net", ""},
		{"azureusgovernment", "", login, "https://login.microsoftonline.us/", ""},
		{"AZURECHINACLOUD", "", bus, "servicebus.chinacloudapi.cn", ""},
		{"AzureChinaCloud", "", storage, "blob.core.chinacloudapi.cn", ""},
		{"AzureChinaCloud", "", login, "https://login.chinacloudapi.cn/", ""},
		{"AzureGermanCloud", "", bus, "servicebus.cloudapi.de", ""},
		{"AzureGermanCloud", "", storage, "blob.core.cloudapi.de", ""},
		{"AzureGermanCloud", "", login, "https://login.microsoftonline.de/", ""},
		{"Private", "own.example", storage, "own.example", ""},
		{"pRiVaTe", "own.example", bus, "own.example", ""},
		{"private", "", bus, "", `parameter "suffix" is required when "cloud" is Private`},
		{"AzureStackCloud", "own.example", bus, "", `parameter "cloud" names a cloud whose hosts are not known here; use Private and give "suffix"`},
		{"public", "", bus, "", unknown},
		{"AzurePublicCloud2", "", bus, "", unknown},
	} {
		got, err := azureauth.Suffix(c.cloud, c.own, "suffix", c.pick)
		text := ""
		if err != nil {
			text = fmt.Sprint(err)
		}
		if got != c.want || text != c.err {
			t.Errorf("%q: got %q, %s; want %q, %s", c.cloud, got, text, c.want, c.err)
		}
	}
}
