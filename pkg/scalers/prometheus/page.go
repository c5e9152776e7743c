package prometheus

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures: "The value is that of the one sample which the query gives now. Below zero counts as 0. A vector with several samples is an error: aggregate it with `sum()` or `max()`. So is a scalar: wrap it in `vector()`.\n\n" +
			"**An empty result is 0 by default**, and so are NaN and infinity. That is how Prometheus answers when what the query reads is gone, be it as there is no work or as the exporter is down; the workload then scales down on a fault. " +
			"Set `ignoreNullValues: \"false\"`: such a result is then an error, which holds the workload as it is. Where empty does mean zero, write `or vector(0)` into the query, or leave the default.",
		Permissions: "To query; nothing else. Servers that separate tenants get theirs by `customHeaders`, such as `X-Scope-OrgID=shop`, or by `namespace`.\n\n" +
			"Without `authModes`, managed services are asked with a cloud's identity. Azure: podIdentity azure-workload with the role *Monitoring Data Reader* on the workspace. Google Cloud: podIdentity gcp or the key of a service account, with `monitoring.timeSeries.list`. " +
			"AWS: `awsRegion` with keys, a role or podIdentity aws, allowed `aps:QueryMetrics`; requests are signed for the service aps. A token of Weir's own identity is sent to hosts of that cloud's service only, and no token in plain text.\n\n" +
			"All `authModes` take effect. A certificate authority given as `ca` is trusted besides the system's, with or without `authModes`.",
		Batching: "All triggers with the same server, credentials and timeout share up to 8 connections, whatever their queries, headers and paths. Each distinct query is one request per poll, up to 8 at a time and all evaluated at the same instant. Triggers that differ in thresholds or `ignoreNullValues` alone share one request.\n\n" +
			"For many similar queries, a recording rule on the server costs less than each trigger's own aggregation.",
		Failures: "A query that the server refuses, that takes too long there, or whose result is unusable fails its own trigger only; the error holds the server's words, cut short, but never a credential. Refused credentials are Unauthorized. Status 429, and 503 with Retry-After, leave the server alone for as long as it asks.\n\n" +
			"Zeros that come with a warning, as of a store that could not be reached, count only once they are confirmed. A redirect to another server is not followed, and answers above 4 MiB are refused.",
	}
}

func examples() []scalers.Example {
	return []scalers.Example{
		{
			Title: "Minimal",
			Metadata: map[string]string{
				"serverAddress": "http://prometheus.monitoring.svc:9090", "query": `sum(rate(http_requests_total{app="shop"}[2m]))`,
				"threshold": "100", "ignoreNullValues": "false",
			},
		},
		{
			Title: "Production",
			Metadata: map[string]string{
				"serverAddress": "https://prometheus.monitoring.svc:9090", "query": `sum(queue_messages{queue="orders"})`,
				"threshold": "20", "activationThreshold": "5", "ignoreNullValues": "false", "timeout": "5s", "authModes": "bearer",
			},
			Auth: map[string]string{"bearerToken": "TOKEN", "ca": "PEM"},
		},
		{
			Title: "One tenant of several",
			Metadata: map[string]string{
				"serverAddress": "https://mimir.monitoring.svc/prometheus", "query": `max(kafka_lag{group="billing"})`,
				"threshold": "1000", "ignoreNullValues": "false", "customHeaders": "X-Scope-OrgID=shop", "authModes": "basic",
			},
			Auth: map[string]string{"username": "weir", "password": "PASSWORD"},
		},
	}
}
