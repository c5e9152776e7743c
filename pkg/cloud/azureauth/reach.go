package azureauth

import (
	"slices"
	"strings"
)

// MayReach refuses to show a token of the process to a host that is not below one
// of the suffixes under: whoever writes a trigger chooses the host, and who
// receives a token can use it as the process would. An identity that the operator
// made for all namespaces may go anywhere, and so may an application, whose secret
// is the user's own. The error is a *scalers.Error of kind Invalid.
func (i Identity) MayReach(host string, under ...string) error {
	if i.kind != workload || i.shared {
		return nil
	}
	host = strings.ToLower(host)
	if slices.ContainsFunc(under, func(suffix string) bool { return strings.HasSuffix(host, "."+suffix) }) {
		return nil
	}
	return invalid("the host is none of Azure's, and would receive the process's token",
		"use a ClusterTriggerAuthentication, which is the operator's word for it, or other credentials")
}

// Everywhere returns what pick takes of each known cloud.
func Everywhere(pick func(Cloud) string) []string {
	var out []string
	for _, name := range []string{"", "AzureUSGovernmentCloud", "AzureChinaCloud", "AzureGermanCloud"} {
		if c, ok := FindCloud(name); ok {
			out = append(out, pick(c))
		}
	}
	return out
}
