package awssqs

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures: "The messages in the queue that wait, and those that consumers have received and not deleted yet: the attributes " +
			"`ApproximateNumberOfMessages` and `ApproximateNumberOfMessagesNotVisible`, added up. `scaleOnInFlight: \"false\"` leaves the latter out; " +
			"a long task then no longer keeps its worker alive. `scaleOnDelayed: \"true\"` adds `ApproximateNumberOfMessagesDelayed`. " +
			"SQS calls the counts approximate: they may be a minute behind after producers stop, so that polling every 10 seconds or slower loses nothing. " +
			"The workload is active when the number is greater than `activationQueueLength`.",
		Permissions: "`sqs:GetQueueAttributes` on the queue. Weir reads no message. " +
			"With a role also `sts:AssumeRole` on it, for Weir's own identity, and that identity in the role's trust policy. " +
			"A queue of another account needs the permission in its own policy too, and its full URL as `queueURL`.",
		Batching: "SQS has no call for several queues: every measurement is a request that AWS bills ($0.40 per million). " +
			"Triggers with the same identity, region and endpoint share a client with up to 16 requests, on as many connections, at a time; triggers on the same queue share its measurement. " +
			"500 queues are 500 requests over 16 connections. Reads of the HPA are answered from the last measurement where that is fresh. " +
			"When AWS throttles, requests are slowed down until it accepts them, and the source pauses. " +
			"There is no signal for new messages that leaves them untouched, so triggers are polled only.",
		Failures: "A queue that does not exist, or that the identity may not read, fails that trigger alone. " +
			"Keys that AWS does not accept, a role that cannot be assumed, or an endpoint that cannot be reached, fail all triggers with the same settings; " +
			"the last number stays valid meanwhile. A zero is believed only when it is measured three times, because the counts lag behind. " +
			"A `queueURL` of another region reads as a missing queue: the region is `awsRegion`, not the one in the URL.",
	}
}

func examples() []scalers.Example {
	const address = "https://sqs.eu-west-1.amazonaws.com/111122223333/orders"
	return []scalers.Example{
		{
			Title: "Minimal", Identity: "aws",
			Metadata: map[string]string{"queueURL": address, "awsRegion": "eu-west-1"},
		},
		{
			Title: "Production", Identity: "aws",
			Metadata: map[string]string{
				"queueURL": address, "awsRegion": "eu-west-1", "queueLength": "20", "activationQueueLength": "5",
				"scaleOnInFlight": "true", "scaleOnDelayed": "false",
			},
		},
	}
}
