package azureservicebus_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers/azureservicebus"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 14, azureservicebus.Scaler) }

func as(provider string, v param.Values) param.Values {
	v.Identity.Provider = provider
	return v
}

func TestRefusedParameters(t *testing.T) {
	key := map[string]string{"connection": "Endpoint=sb://ns/;SharedAccessKeyName=k;SharedAccessKey=v"}
	const workload = "azure-workload"
	for name, c := range map[string]struct {
		v    param.Values
		want string // all errors, one a line
	}{
		"nothing to measure":          {values(key), `parameter "queueName" is required, or topicName and subscriptionName`},
		"a lone subscription":         {values(key, "subscriptionName", "s"), `parameter "queueName" is required, or topicName and subscriptionName`},
		"a queue and a topic":         {values(key, "queueName", "q", "topicName", "t"), `parameter "topicName" cannot be combined with "queueName"; keep one of them`},
		"a queue and a subscription":  {values(key, "queueName", "q", "subscriptionName", "s"), `parameter "subscriptionName" cannot be combined with "queueName"; keep one of them`},
		"a topic alone":               {values(key, "topicName", "t"), `parameter "subscriptionName" is required when "topicName" is set`},
		"an expression for queues":    {values(key, "queueName", "a(", "useRegex", "true"), `parameter "queueName" must be a regular expression in the syntax of RE2`},
		"one for subscriptions":       {values(key, "topicName", "t", "subscriptionName", "(?=a)", "useRegex", "true"), `parameter "subscriptionName" must be a regular expression in the syntax of RE2`},
		"an unknown operation":        {values(key, "queueName", "q", "operation", "min"), `parameter "operation" must be one of sum, max, avg`},
		"a broken target":             {values(key, "queueName", "q", "messageCount", "5.0"), `parameter "messageCount" must be a whole number, written with digits only`},
		"no credentials":              {values(nil, "queueName", "q"), `parameter "connection" is required without a pod identity; set it as an authentication parameter, or through connectionFromEnv, naming a variable that the workload's container sets`},
		"another identity":            {as("gcp", values(key, "queueName", "q")), `podIdentity must be azure-workload, or none together with a connection string`},
		"no namespace":                {as(workload, values(nil, "queueName", "q")), `parameter "namespace" is required with a pod identity`},
		"a namespace that leads away": {as(workload, values(nil, "queueName", "q", "namespace", "evil.example/")), `parameter "namespace" must be the name of a namespace: letters, digits and dashes`},
		"a suffix that leads away":    {as(workload, values(nil, "queueName", "q", "namespace", "n", "cloud", "Private", "endpointSuffix", "a/b")), `parameter "endpointSuffix" must be what a host ends with, such as "servicebus.example.com"`},
		"an unknown cloud":            {as(workload, values(nil, "queueName", "q", "namespace", "n", "cloud", "Mars")), `parameter "cloud" must be one of AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, AzureGermanCloud, Private`},
		"Azure Stack":                 {as(workload, values(nil, "queueName", "q", "namespace", "n", "cloud", "azurestackcloud")), `parameter "cloud" names a cloud whose hosts are not known here; use Private and give "endpointSuffix"`},
		"a private cloud's suffix":    {as(workload, values(nil, "queueName", "q", "namespace", "n", "cloud", "PRIVATE")), `parameter "endpointSuffix" is required when "cloud" is Private`},
		"all mistakes together":       {as(workload, values(nil, "useRegex", "si", "cloud", "x")), "parameter \"cloud\" must be one of AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, AzureGermanCloud, Private\nparameter \"namespace\" is required with a pod identity\nparameter \"useRegex\" must be \"true\" or \"false\""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := azureservicebus.Scaler.Parse(c.v)
			if got := fmt.Sprint(err); got != c.want {
				t.Errorf("error %s\nwant  %s", got, c.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	key := map[string]string{"connection": "Endpoint=sb://ns/;SharedAccessKeyName=k;SharedAccessKey=v"}
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"nothing to say":               {values(key, "queueName", "q"), ""},
		"an invalid cloud that is not": {values(key, "queueName", "q", "cloud", "Mars"), `parameter "cloud" has no effect without a pod identity: the connection string says the host`},
		"a string that is none":        {values(map[string]string{"connection": "Endpoint=x"}, "queueName", "q"), `parameter "connection" is not a connection string with an Endpoint, and will not connect`},
		"a user in the endpoint":       {values(map[string]string{"connection": "Endpoint=sb://u:p@h"}, "queueName", "q"), `parameter "connection" is not a connection string with an Endpoint, and will not connect`},
		"an operation on one queue":    {values(key, "queueName", "q", "operation", "avg"), `parameter "operation" has no effect without useRegex`},
		"two ways to log in":           {as("azure-workload", values(key, "queueName", "q", "namespace", "n")), `parameter "connection" is not used with a pod identity; remove one of them`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := azureservicebus.Scaler.Parse(c.v)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]string, len(warnings))
			for i, w := range warnings {
				got[i] = w.String()
			}
			if strings.Join(got, "\n") != c.want {
				t.Errorf("warnings %q, want %q", got, c.want)
			}
		})
	}
}

func TestSharing(t *testing.T) {
	identity := func(namespace string, shared bool, metadata ...string) param.Values {
		v := values(nil, append([]string{"queueName", "q", "namespace", "n"}, metadata...)...)
		v.Namespace, v.Identity = namespace, param.Identity{Provider: "azure-workload", Shared: shared}
		return v
	}
	key := func(namespace, connection string) param.Values {
		v := values(map[string]string{"connection": connection}, "queueName", "q")
		v.Namespace = namespace
		return v
	}
	for name, c := range map[string]struct {
		a, b param.Values
		want bool
	}{
		"the same connection string in two namespaces":    {key("a", "Endpoint=sb://n"), key("b", "Endpoint=sb://n"), true},
		"two connection strings":                          {key("a", "Endpoint=sb://n"), key("a", "Endpoint=sb://m"), false},
		"the process's identity for two namespaces":       {identity("a", false), identity("b", false), false},
		"the process's identity for one namespace":        {identity("a", false), identity("a", false), true},
		"an identity that is for all":                     {identity("a", true), identity("b", true), true},
		"two names of one cloud":                          {identity("a", false), identity("a", false, "cloud", "AzureCloud"), true},
		"a suffix that is not used makes no other source": {identity("a", false), identity("a", false, "endpointSuffix", "x"), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parse(t, c.a).Source == parse(t, c.b).Source; got != c.want {
				t.Errorf("shared: %v, want %v", got, c.want)
			}
		})
	}
	sum := values(map[string]string{"connection": "Endpoint=sb://n"}, "queueName", "q", "operation", "sum")
	avg := values(map[string]string{"connection": "Endpoint=sb://n"}, "queueName", "q", "operation", "avg")
	if parse(t, sum).Query != parse(t, avg).Query {
		t.Error("the operation keeps triggers on one queue from sharing a measurement")
	}
}
