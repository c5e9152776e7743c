package azureauth_test

import (
	"fmt"
	"testing"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestTokensOfTheProcessGoToAzureOnly(t *testing.T) {
	t.Parallel()
	tenant := azureauth.OfWorkload(param.Values{Namespace: "shop", Identity: param.Identity{Provider: azureauth.Workload}})
	everybody := azureauth.OfWorkload(param.Values{Namespace: "shop", Identity: param.Identity{Provider: azureauth.Workload, Shared: true}})
	own := azureauth.OfApplication("tenant", "client", param.NewSecret("s"), "")
	const refused = "preparing the Azure identity: the host is none of Azure's, and would receive the process's token; " +
		"use a ClusterTriggerAuthentication, which is the operator's word for it, or other credentials"
	buses := azureauth.Everywhere(func(c azureauth.Cloud) string { return c.ServiceBus })
	for _, c := range []struct {
		as   azureauth.Identity
		host string
		want string
	}{
		{tenant, "shop.servicebus.windows.net", "<nil>"},
		{tenant, "Shop.ServiceBus.Windows.Net", "<nil>"},
		{tenant, "shop.servicebus.chinacloudapi.cn", "<nil>"},
		{tenant, "shop.example.com", refused},
		{tenant, "servicebus.windows.net.example.com", refused},
		{tenant, "evilservicebus.windows.net", refused},
		{tenant, "", refused},
		{everybody, "shop.example.com", "<nil>"},
		{own, "shop.example.com", "<nil>"},
	} {
		err := c.as.MayReach(c.host, buses...)
		if fmt.Sprint(err) != c.want || err != nil && scalers.KindOf(err) != scalers.Invalid {
			t.Errorf("%v to %q: %v, want %s", c.as, c.host, err, c.want)
		}
	}
}
