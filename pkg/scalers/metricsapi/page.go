package metricsapi

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures: "The value is the number at `valueLocation` in the answer to one GET:\n\n" +
			"| Format | `valueLocation` | Example |\n|---|---|---|\n" +
			"| json | a path of GJSON | `components.#(name==\"worker\").tasks` |\n" +
			"| yaml | keys and indexes, separated by dots | `components.0.tasks` |\n" +
			"| xml | likewise; attributes are `@name`. The root element may be left out. An element that is there once is also its own index 0 | `stats.worker.0.@tasks` |\n" +
			"| prometheus | a selector. The first sample that has all of these labels counts, if it is a counter, a gauge or untyped. All operators are taken for `=` | `jobs{queue=\"orders\"}` |\n\n" +
			"It may also be text in the syntax of Kubernetes quantities, such as \"1.5k\" or \"100m\". Below zero counts as 0. NaN, infinity, and anything else that is no number are errors, which hold the workload as it is.",
		Permissions: "To ask for that address; nothing else. All `authModes` take effect. A certificate authority given as `ca` is trusted besides the system's, with or without `authModes`.",
		Batching:    "All triggers with the same server, credentials and timeout share up to 8 connections, whatever their paths. Each distinct address is asked once per poll, up to 8 at a time; triggers that read several numbers from one address share its answer.",
		Failures: "An address that answers with another status than 200, or without a number at `valueLocation`, fails its own triggers only. Refused credentials are Unauthorized. Status 429, and 503 with Retry-After, leave the server alone for as long as it asks.\n\n" +
			"A redirect to another server is not followed, and answers above 16 MiB are refused. `aggregateFromKubeServiceEndpoints` is not supported by this version and refused.",
	}
}

func examples() []scalers.Example {
	return []scalers.Example{
		{
			Title:    "Minimal",
			Metadata: map[string]string{"url": "http://orders.shop.svc:8080/stats", "valueLocation": "queue.waiting", "targetValue": "20"},
		},
		{
			Title: "Production",
			Metadata: map[string]string{
				"url": "https://orders.shop.svc:8443/stats", "valueLocation": "queue.waiting", "targetValue": "20", "activationTargetValue": "5",
				"timeout": "5s", "authModes": "basic",
			},
			Auth: map[string]string{"username": "weir", "password": "PASSWORD", "ca": "PEM"},
		},
		{
			Title: "A page of metrics",
			Metadata: map[string]string{
				"url": "http://orders.shop.svc:8080/metrics", "format": "prometheus", "valueLocation": `jobs_waiting{queue="orders"}`, "targetValue": "20",
			},
		},
	}
}
