package azureservicebus

import (
	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
)

func page() scalers.Page {
	return scalers.Page{
		Measures: `The value is the number of *active* messages: those that a receiver could get now, and those that receivers hold locked. Dead-lettered, scheduled, deferred and transfer messages are not counted.

With ` + "`useRegex`" + ` all queues of the namespace, or all subscriptions of the topic, whose whole name matches are measured together: ` + "`orders`" + ` matches only "orders", ` + "`orders-.*`" + ` all that begin with "orders-". "sum" adds the counts up, "max" takes the largest, "avg" the mean, rounded down. When nothing matches the value is 0.`,
		Permissions: `A key with the claim *Manage*, of the namespace or of the queue or topic alone; or, for a workload identity, the role *Azure Service Bus Data Owner*. Listen and Send are not enough to read counts. A key of one entity cannot list: triggers are then read one by one, and ` + "`useRegex`" + ` is Unauthorized.

A workload identity is that of this process, with the client and the tenant that the TriggerAuthentication says; its token goes to the namespace's host. Hosts of ` + "`cloud: Private`" + ` get it only where the identity comes from a ClusterTriggerAuthentication: who receives the token can use it. An authority that is none of Azure's is taken from a ClusterTriggerAuthentication only.`,
		Batching: `All triggers with the same connection string, or the same namespace and identity, share one client with up to 8 connections. Nothing is received, so that the limit of AMQP connections is not touched.

A namespace charges requests of management against the same credits as the application's traffic. A list costs one request for 100 entities, a single read one for each. The list is read when its pages are fewer than the triggers that it answers; how long it is is learned by reading it, no further than single reads would have cost, and anew every 10 minutes. Each topic has a list of its own. All expressions on one list are answered from one reading of it. What the list lacks is asked for alone before it counts as missing.`,
		Failures: `A queue or subscription that does not exist fails its own trigger only, as NotFound. A subscription's topic that does not exist is NotFound too, with ` + "`useRegex`" + ` as well.

Refused credentials are Unauthorized. When the namespace asks for less (status 429, or 503 with the code of a busy server) all triggers of the source wait. Without a workload identity in this process, triggers with ` + "`podIdentity: azure-workload`" + ` are Unauthorized.

A connection string is looked at when it is used: one that cannot be used is Invalid then, and warned of before.

A list is paged by position: entities that are deleted meanwhile may hide others. An expression's zero therefore counts only once it is confirmed.

` + "`UseDevelopmentEmulator=true`" + ` in the connection string sends requests in plain HTTP to the endpoint's host and port. ` + "`cloud: AzureStackCloud`" + ` is not known; use Private with endpointSuffix.`,
	}
}

func examples() []scalers.Example {
	const connection = "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=weir;SharedAccessKey=KEY"
	return []scalers.Example{
		{
			Title:    "Minimal",
			Metadata: map[string]string{"queueName": "orders"},
			Auth:     map[string]string{"connection": connection},
		},
		{
			Title:    "Production",
			Metadata: map[string]string{"queueName": "orders", "namespace": "shop", "messageCount": "20", "activationMessageCount": "5"},
			Identity: azureauth.Workload,
		},
		{
			Title:    "A subscription of a topic",
			Metadata: map[string]string{"topicName": "events", "subscriptionName": "billing", "messageCount": "50"},
			Auth:     map[string]string{"connection": connection},
		},
		{
			Title:    "All queues of a team",
			Metadata: map[string]string{"queueName": "team-a-.*", "useRegex": "true", "operation": "sum", "messageCount": "50"},
			Auth:     map[string]string{"connection": connection},
		},
	}
}
