package awscloudwatch

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures: "The newest data point of a metric, or the newest value of the first time series that an expression gives. " +
			"The time looked at ends `metricEndTimeOffset` seconds ago, rounded down to a multiple of `metricStatPeriod`, and begins `metricCollectionTime` seconds earlier. " +
			"Without a data point the number is `minMetricValue`, unless `ignoreNullValues` is `\"false\"`: then it is an error, and the workload stays as it is. " +
			"The safe setting is `\"false\"`, since a metric that is misspelt, arrives late or may not be read has no data points either; " +
			"use `\"true\"` only for metrics that stop being published when there is no work. " +
			"An expression that gives no time series at all counts as `minMetricValue` with either setting. " +
			"A negative number counts as 0. The workload is active when the number is greater than `activationTargetMetricValue`.",
		Permissions: "`cloudwatch:GetMetricData`, which AWS does not restrict to single metrics. " +
			"With a role also `sts:AssumeRole` on it, for Weir's own identity, and that identity in the role's trust policy. " +
			"For `awsAccountId` the account must be a source account of the identity's in CloudWatch's cross-account observability.",
		Batching: "Triggers with the same identity, region and endpoint share requests: one request measures up to 500 queries that look at the same span of time, " +
			"that is with equal `metricStatPeriod`, `metricCollectionTime` and `metricEndTimeOffset`. 500 such triggers are one request on one connection, 10,000 are 20, at most 4 at a time. " +
			"Only one Metrics Insights query (`SELECT ...`) fits a request. " +
			"AWS bills each metric asked for ($0.01 per 1,000), not the request: batching saves time, and a longer `pollingInterval` saves money. " +
			"Asking more often than once per `metricStatPeriod` gives the same number again. Triggers on the same metric share its measurement. " +
			"There is no signal for new data points, so triggers are polled only.",
		Failures: "A malformed expression or statistic makes CloudWatch refuse the request it is in. The source then finds it by halving the request, and leaves it alone for 5 minutes: " +
			"that trigger alone fails. `InternalError`, `PartialData` and `Forbidden`, which CloudWatch says of single metrics, fail that trigger alone. " +
			"Keys that AWS does not accept, a missing permission, a role that cannot be assumed, or an endpoint that cannot be reached, fail all triggers with the same settings; " +
			"the last number stays valid meanwhile. A zero that stands for missing data is believed only when it is measured three times. " +
			"CloudWatch keeps periods of less than 60 seconds only for metrics published at high resolution; others have no data points then.",
	}
}

func examples() []scalers.Example {
	return []scalers.Example{
		{
			Title: "Minimal", Identity: "aws",
			Metadata: map[string]string{
				"namespace": "AWS/ApplicationELB", "metricName": "RequestCountPerTarget", "dimensionName": "TargetGroup", "dimensionValue": "targetgroup/web/0123456789abcdef",
				"metricStat": "Sum", "targetMetricValue": "500", "minMetricValue": "0", "ignoreNullValues": "false", "awsRegion": "eu-west-1",
			},
		},
		{
			Title: "Production", Identity: "aws",
			Metadata: map[string]string{
				"expression":        `SELECT MAX(ApproximateNumberOfMessagesVisible) FROM SCHEMA("AWS/SQS", QueueName) WHERE QueueName = 'orders'`,
				"targetMetricValue": "20", "activationTargetMetricValue": "5", "minMetricValue": "0", "ignoreNullValues": "false",
				"metricStatPeriod": "60", "metricCollectionTime": "300", "metricEndTimeOffset": "60", "awsRegion": "eu-west-1",
			},
		},
	}
}
