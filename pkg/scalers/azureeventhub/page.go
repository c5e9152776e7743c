package azureeventhub

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures: "The events that the consumer group has not processed: for each partition, the sequence number of the newest event less that of the group's checkpoint, added up. " +
			"A partition without a checkpoint counts all events it keeps; one that keeps a single event, and not its first, counts 0. A checkpoint that is ahead of what the hub says by up to `stalePartitionInfoThreshold` counts 0: consumers move on while the hub is asked; " +
			"one that is further ahead is taken for a sequence number that wrapped around. " +
			"Since no more than one consumer of a group can read a partition, the number is cut to `unprocessedEventThreshold` times the number of partitions where it exceeds that by a threshold or more. " +
			"The workload is active when the number before the cut is greater than `activationUnprocessedEventThreshold`. " +
			"Checkpoints are looked for where `checkpointStrategy` says; for `azureFunction` and `blobMetadata` also under the namespace and hub in lower case, as today's SDKs write them.",
		Permissions: "Event Hubs: a shared access policy with Listen, or the role Azure Event Hubs Data Receiver, on the namespace or on each hub. " +
			"Storage: the account key, a signature that may read and list (`rl` on the service `b`), or the role Storage Blob Data Reader. " +
			"`UseDevelopmentEmulator=true` in the connection string connects to an emulator without TLS; `BlobEndpoint` in the storage connection string points at another server.",
		Batching: "One connection for each event hub, which is as far as the SDK can share, for all its consumer groups: the partitions are asked for side by side on it, 32 at a time, once for all groups. " +
			"Which partitions there are is asked every 5 minutes. Checkpoints come from one listing for all groups of a container, or one for each group where the container holds much else; " +
			"layouts that keep them in the blob's content are read again only where they have changed. " +
			"Triggers with the same connection strings share this, whichever hub they name in `eventHubName`. There is no wake-up by new events: that would take a reader of the group and carry the events.",
		Failures: "A hub that does not exist, or that the policy is not for, is an error of its triggers alone. A missing container or checkpoint is no error: the group counts as one that has processed nothing, which shows a wrong container or strategy as a backlog. " +
			"A blob that is no checkpoint is an error that names it; check `checkpointStrategy`. A refused key or role is an error that holds the last value. " +
			"A connection that broke is replaced at once; when that fails too, the trigger's value is unknown until the namespace can be reached.",
	}
}

func examples() []scalers.Example {
	return []scalers.Example{
		{
			Title: "Minimal",
			Metadata: map[string]string{
				"eventHubName": "orders", "consumerGroup": "billing", "blobContainer": "checkpoints", "checkpointStrategy": "blobMetadata",
			},
			Auth: map[string]string{
				"connection":        "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=weir;SharedAccessKey=a2V5",
				"storageConnection": "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=a2V5;EndpointSuffix=core.windows.net",
			},
		},
		{
			Title: "Production", Identity: "azure-workload",
			Metadata: map[string]string{
				"eventHubNamespace": "shop", "eventHubName": "orders", "storageAccountName": "shop",
				"consumerGroup": "billing", "blobContainer": "checkpoints", "checkpointStrategy": "blobMetadata",
				"unprocessedEventThreshold": "200", "activationUnprocessedEventThreshold": "10",
			},
		},
	}
}
