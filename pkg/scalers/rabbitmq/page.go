package rabbitmq

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures: `**Over AMQP** the value is the number of *ready* messages. Messages that were delivered and not acknowledged yet are not counted, so that a queue whose consumers hold everything reads 0.

**Over HTTP** the value is by default ready *plus unacknowledged* messages; ` + "`excludeUnacknowledged: \"true\"`" + ` leaves the latter out. The same queue can therefore read differently by the two protocols.

The modes, with L messages, P messages per second published and D delivered or fetched:

| Mode | Value | There is work when |
|---|---|---|
| QueueLength | L | L is above activationValue |
| MessageRate | P | P or L is above it |
| DeliverGetRate | D | D is above it |
| PublishedToDeliveredRatio | P / D; activationValue while D is 0 and P is not | the value is above it, or D is 0 and P is not |
| ExpectedQueueConsumptionTime | (P − D) / D + L / D seconds; activationValue while D is 0 and L is not; 0 when L is 0 | the value is above it, or D is 0 and L is not |

Rates come from the management plugin's statistics and lag by several seconds. ExpectedQueueConsumptionTime is 0, and idle, where consumers are faster than publishers by more than what waits.

With ` + "`useRegex`" + ` the name matches anywhere and in any case, as in the management API: write ` + "`^orders$`" + ` for exactly that. Expressions that mean the same to Go and to RabbitMQ are matched against the list of queues and have no limit of matches. All others, and all of a virtual host with a queue name beyond printable ASCII, are matched by the server, within ` + "`pageSize`" + `. "avg" rounds the messages down.`,
		Permissions: `Over AMQP: access to the virtual host. RabbitMQ asks for no permission on the queue itself, since nothing is ever consumed, published or declared.

Over HTTP: the tag *management* (then with access to each virtual host) or *monitoring*. With ` + "`tls: enable`" + `, a client certificate, and neither a password in the address nor username and password, AMQP logs in by SASL EXTERNAL.`,
		Batching: `Over AMQP all triggers with the same address, virtual host, credentials and TLS settings share one connection with up to 16 channels. Each queue is one small request. Queues that do not exist are asked for apart, at most 250 ms longer than the others take, and read as missing between their turns.

Over HTTP all triggers with the same address, credentials, TLS settings and timeout share up to 8 connections, whatever their virtual host. Where triggers ask for more than one in 10 queues of a virtual host, one request lists exact totals of all its queues, without statistics; below that each queue is one request. For rates the turning point is one in 5. A regular expression is answered from the list. How many queues there are is learned anew every 10 minutes. A queue that the list lacks is asked for alone before it counts as missing. Servers before 3.9, which know no such list, are asked one by one or answer from their statistics; so is one whose list takes longer than "timeout".`,
		Failures: `A queue that does not exist, or that is down, fails its own trigger only. Right after a queue is declared the statistics do not know it; that reads as unknown, not as 0.

Refused credentials are Unauthorized. When the broker closes the connection, does not answer in time or cannot be reached, all triggers of the source are Unreachable and it is opened again.

Quorum queues and streams without a leader are empty by AMQP, and a list may lack queues of a node that answers late. Zeros of that kind count only once they are confirmed.

A redirect to another server is not followed. ` + "`operation`" + ` and the address of an explicit ` + "`protocol`" + ` are checked when they are used.

With ` + "`workloadIdentityResource`" + `, tokens go to addresses with https only; and a TriggerAuthentication, unlike a ClusterTriggerAuthentication, may name only a resource that begins with ` + "`api://`" + `: whoever writes it chooses the server that is shown the token.`,
	}
}

func examples() []scalers.Example {
	return []scalers.Example{
		{
			Title:    "Minimal",
			Metadata: map[string]string{"queueName": "orders", "mode": "QueueLength", "value": "20"},
			Auth:     map[string]string{"host": "amqp://rabbitmq.shop.svc:5672/", "username": "weir", "password": "PASSWORD"},
		},
		{
			Title:    "Production",
			Metadata: map[string]string{"queueName": "orders", "mode": "QueueLength", "value": "20", "activationValue": "5", "vhostName": "shop"},
			Auth:     map[string]string{"host": "amqps://rabbitmq.shop.svc:5671", "username": "weir", "password": "PASSWORD", "tls": "enable", "ca": "PEM"},
		},
		{
			Title:    "All queues of a team, over HTTP",
			Metadata: map[string]string{"queueName": `^team-a\.`, "useRegex": "true", "operation": "sum", "excludeUnacknowledged": "true", "mode": "QueueLength", "value": "50"},
			Auth:     map[string]string{"host": "https://rabbitmq.shop.svc:15671/shop", "username": "weir", "password": "PASSWORD"},
		},
		{
			Title:    "Publishing rate",
			Metadata: map[string]string{"queueName": "clicks", "mode": "MessageRate", "value": "100"},
			Auth:     map[string]string{"host": "http://rabbitmq.shop.svc:15672/", "username": "weir", "password": "PASSWORD"},
		},
	}
}
