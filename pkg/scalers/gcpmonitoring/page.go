package gcpmonitoring

import "github.com/weir-sh/weir/pkg/scalers"

const credentials = "The service account whose key is given, or the identity of Weir's own pods with `podIdentity: {provider: gcp}`, needs the role *roles/monitoring.viewer* on the project. Only keys of type *service_account* are taken. Tokens are signed from the key and never fetched, so that the key's `token_uri` is not used.\n\nWeir's own identity is shared between namespaces only where it is meant for all, and its tokens go to hosts below `googleapis.com` only."

const trouble = "A key that is refused, or a role that is missing, is Unauthorized. Too many requests are Throttled. A network or server that fails is Unreachable, and the connection is opened again. Where the credentials come in `credentialsFromEnvFile`, opening fails: no trigger may read files of Weir's.\n\nA value that is neither a whole nor a real number is an error, and so are NaN and infinities. A time series without points, and a value below zero, are 0; zeros count only once they are confirmed.\n\nWithout a time series there is an error, which keeps replicas as they are. That is the safe setting. `valueIfNull` reports a number instead, also when metrics are late or a name is wrong."

func pubsubPage() scalers.Page {
	return scalers.Page{
		Measures: `By default the messages of a subscription that are not acknowledged yet, delivered ones included: the newest value of *subscription/num_undelivered_messages* in the last two minutes. Pub/Sub writes values once a minute, and they can be read up to two minutes later: nothing here reacts faster than that, whatever the polling interval. Half a minute to a minute between polls is enough.

` + "`mode`" + ` chooses another metric of the [list](https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub): *pubsub.googleapis.com/subscription/* or */topic/* and the mode in snake case. When a metric has several time series, the first counts.

With ` + "`aggregation`" + ` it is what happened in the newest three minutes, over all time series of the metric: a delta, which metrics of kind GAUGE do not have. Distributions are added up and evaluated here: mean, sum, count, variance and stddev are exact; median and percentiles are interpolated within the range that they fall into. count is the number of values measured.`,
		Permissions: credentials,
		Batching:    "Triggers with the same credentials and endpoint share one connection. One call reads up to 100 subscriptions or topics, fewer where their names make the filter longer than 2,048 characters; they must agree in project, metric, time horizon and whether there is an aggregation, not in which. Up to 8 calls run at a time. Cloud Monitoring charges for each time series that it returns, so that batching saves quota and no money; nothing is read that no trigger asks for.",
		Failures:    "A subscription that does not exist has no time series and fails alone. A name, mode or aggregation that cannot be one is accepted with a warning, and measuring it is an error. A metric that does not exist fails all triggers that want it.\n\n" + trouble,
	}
}

func stackdriverPage() scalers.Page {
	return scalers.Page{
		Measures:    "The newest point of the first time series that the filter selects, in the last two minutes or `filterDuration`. With `alignmentPeriodSeconds` the points are aligned, and time series reduced to one, as Cloud Monitoring defines the aligners and reducers. Filters should match one series: which is the first of several is not defined.\n\nThe filter is sent as it is, with a condition on the project's id at its end: put parentheses around an OR.",
		Permissions: credentials,
		Batching:    "Triggers with the same credentials and endpoint share one connection; equal ones are measured once. Each filter is one call that returns one point, up to 8 at a time. A filter is never put together with another: one that is wrong would fail both.",
		Failures:    "A filter that Cloud Monitoring refuses is Invalid and fails its own trigger only; so does one that selects nothing, as an unknown metric.\n\n" + trouble,
	}
}

func pubsubExamples() []scalers.Example {
	return []scalers.Example{
		{
			Title:    "Minimal",
			Metadata: map[string]string{"subscriptionName": "orders", "value": "20"},
			Auth:     map[string]string{"GoogleApplicationCredentials": "JSON"},
		},
		{
			Title:    "Production",
			Metadata: map[string]string{"subscriptionName": "projects/shop/subscriptions/orders", "value": "20", "activationValue": "5"},
			Identity: "gcp",
		},
		{
			Title:    "Age of the oldest message, in seconds",
			Metadata: map[string]string{"subscriptionName": "projects/shop/subscriptions/orders", "mode": "OldestUnackedMessageAge", "value": "60"},
			Identity: "gcp",
		},
		{
			Title:    "Size of published messages",
			Metadata: map[string]string{"topicName": "projects/shop/topics/orders", "mode": "MessageSizes", "aggregation": "percentile95", "value": "10000"},
			Identity: "gcp",
		},
	}
}

func stackdriverExamples() []scalers.Example {
	const filter = `metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision" AND resource.labels.service_name="checkout"`
	return []scalers.Example{
		{
			Title:    "Minimal",
			Metadata: map[string]string{"projectId": "shop", "filter": filter, "targetValue": "50"},
			Auth:     map[string]string{"GoogleApplicationCredentials": "JSON"},
		},
		{
			Title: "Production",
			Metadata: map[string]string{
				"projectId": "shop", "filter": filter, "targetValue": "50", "activationTargetValue": "1", "filterDuration": "5",
				"alignmentPeriodSeconds": "60", "alignmentAligner": "rate", "alignmentReducer": "sum",
			},
			Identity: "gcp",
		},
	}
}
