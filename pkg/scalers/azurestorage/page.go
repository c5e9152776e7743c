package azurestorage

import "github.com/weir-sh/weir/pkg/scalers"

const (
	connecting = "The connection string is AccountName with AccountKey, or with SharedAccessSignature; QueueEndpoint and BlobEndpoint in it point at private endpoints and emulators, over http as well. " +
		"Its keys are compared case-sensitively, and `UseDevelopmentStorage` is not understood. "
	failing = "A refused key, signature or role (status 401 or 403) and a service that is throttling (503 ServerBusy) or cannot be reached are errors that hold the last value. " +
		"Requests are not repeated by the client: the next poll does that. "
)

func queuePage() scalers.Page {
	return scalers.Page{
		Measures: "The approximate number of messages in the queue, those included that a worker has taken and not deleted yet, and those that become visible later. " +
			"With `queueLengthStrategy: visibleonly` the messages that can be received now, while there are fewer than 32; from 32 on it is the approximate number of all again. " +
			"The service promises only an approximate count, so a zero is asked for a second time before it counts. " +
			"The workload is active when the number is greater than `activationQueueLength`.",
		Permissions: "The account key, or a signature or role that may read the queue's metadata (`r` on the service `q`; role Storage Queue Data Reader). " +
			"With `visibleonly` it must also be allowed to peek, which the same ones are. " + connecting,
		Batching: "The service has no call for many queues: each queue is one request, or two with `visibleonly` and 32 messages or more. " +
			"Triggers with the same account and login share a pool of 16 connections; equal triggers are measured once.",
		Failures: "A queue that does not exist is an error of its triggers alone. " + failing,
	}
}

func blobPage() scalers.Page {
	return scalers.Page{
		Measures: "The number of blobs whose names begin with `blobPrefix`, in that folder only, or below it too with `recursive`. " +
			"With `globPattern` it is the blobs of all folders whose names match; `blobPrefix` then still applies. " +
			"Blobs stay until somebody deletes them: workers must delete or move what they have handled. " +
			"The workload is active when the number is greater than `activationBlobCount`.",
		Permissions: "The account key, or a signature or role that may list the container (`l` on the service `b`; role Storage Blob Data Reader). " + connecting,
		Batching: "Each trigger lists its container: one request for each 5,000 blobs and folders, so that a narrow `blobPrefix` saves most. " +
			"Triggers with the same account and login share a pool of 16 connections; equal triggers are measured once.",
		Failures: "A container that does not exist is an error of its triggers alone. A listing of more than 200 pages, which is a million blobs, is an error too. " + failing,
	}
}

func queueExamples() []scalers.Example {
	connection := map[string]string{"connection": "DefaultEndpointsProtocol=https;AccountName=jobs;AccountKey=a2V5;EndpointSuffix=core.windows.net"}
	return []scalers.Example{
		{Title: "Minimal", Metadata: map[string]string{"queueName": "orders"}, Auth: connection},
		{
			Title: "Production", Identity: "azure-workload",
			Metadata: map[string]string{
				"queueName": "orders", "accountName": "jobs", "queueLengthStrategy": "visibleonly",
				"queueLength": "20", "activationQueueLength": "5",
			},
		},
	}
}

func blobExamples() []scalers.Example {
	connection := map[string]string{"connection": "DefaultEndpointsProtocol=https;AccountName=jobs;AccountKey=a2V5;EndpointSuffix=core.windows.net"}
	return []scalers.Example{
		{Title: "Minimal", Metadata: map[string]string{"blobContainerName": "inbox"}, Auth: connection},
		{
			Title: "Production", Identity: "azure-workload",
			Metadata: map[string]string{
				"blobContainerName": "inbox", "accountName": "jobs", "blobPrefix": "invoices", "recursive": "true",
				"blobCount": "20", "activationBlobCount": "5",
			},
		},
	}
}
