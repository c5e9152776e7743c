package awskinesis

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures: "The open shards of the stream: `OpenShardCount` of `DescribeStreamSummary`. It says how large the stream is, not how much waits in it, " +
			"and so how many consumers have something to read when each reads `shardCount` shards. It changes only when the stream is resharded, and is never zero, " +
			"so that a workload stays active unless `activationShardCount` says otherwise.",
		Permissions: "`kinesis:DescribeStreamSummary` on the stream. Weir reads no record. " +
			"With a role also `sts:AssumeRole` on it, for Weir's own identity, and that identity in the role's trust policy.",
		Batching: "Kinesis has no call for several streams, and lets an account make 20 of these requests a second in a region, free of charge. " +
			"Triggers with the same identity, region and endpoint share a client with 2 requests at a time; triggers on the same stream share its measurement. " +
			"When AWS throttles, requests are slowed down until it accepts them, and the source pauses. A `pollingInterval` of 60 or more suits streams that are seldom resharded.",
		Failures: "A stream that does not exist, or that the identity may not describe, fails that trigger alone. " +
			"Keys that AWS does not accept, a role that cannot be assumed, or an endpoint that cannot be reached, fail all triggers with the same settings; " +
			"the last number stays valid meanwhile.",
	}
}

func examples() []scalers.Example {
	return []scalers.Example{
		{
			Title: "Minimal", Identity: "aws",
			Metadata: map[string]string{"streamName": "clicks", "awsRegion": "eu-west-1"},
		},
		{
			Title: "Production", Identity: "aws",
			Metadata: map[string]string{"streamName": "clicks", "awsRegion": "eu-west-1", "shardCount": "4", "activationShardCount": "0"},
		},
	}
}
