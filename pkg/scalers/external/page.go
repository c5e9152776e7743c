package external

import "github.com/weir-sh/weir/pkg/scalers"

func page() scalers.Page {
	return scalers.Page{
		Measures: `A gRPC server that you run answers for each workload: ` + "`GetMetricSpec`" + ` names its metrics and their targets, ` + "`GetMetrics`" + ` gives the value of each, and ` + "`IsActive`" + ` alone decides between zero replicas and one. There is no activation threshold. The contract is pkg/scalers/external/externalscaler/externalscaler.proto; servers written for KEDA work unchanged.

Each metric is an entry of the HPA, named "s0-" and what the server calls it. A target is ` + "`targetSizeFloat`" + `, or ` + "`targetSize`" + ` where that is zero; a value is ` + "`metricValueFloat`" + `, or ` + "`metricValue`" + `; several values of one metric add up. What the server says about its metrics holds for a minute.

The server gets name and namespace of the object, and all metadata of the trigger as it is written, "scalerAddress" included. Metadata whose name ends in "FromEnv" arrives under that name with the value of the environment variable, and not at all where the workload's container does not set it. Authentication parameters are never handed on.`,
		Permissions: "None but what the server itself asks for, such as a client certificate.",
		Batching:    "The contract has no batch call. Per trigger and measurement: one `IsActive`, one `GetMetrics` per metric, and once a minute `GetMetricSpec`. All triggers with the same address and TLS settings share one HTTP/2 connection, with up to 64 calls at a time.",
		Failures: `- A call that is not answered within 5 seconds fails that trigger alone; a server that cannot be reached at all fails every trigger of the address.
- An answer without metrics or without a value, names that are empty or occur twice, targets that are not above zero, values that are negative, infinite or not a number, and more than 100 metrics are errors, never a zero.
- Answers are limited to 1 MiB. What the server says is quoted in errors, without the values that came from the environment.
- Addresses other than ` + "`host:port`" + `, such as Unix sockets, are refused.`,
	}
}

const (
	pushBatching = " External-push also keeps two streams per trigger open, `StreamIsActive` and `StreamMetricSpec`, over further connections of 50 triggers each."
	pushFailures = "\n" + `- A true on ` + "`StreamIsActive`" + ` measures at once, and counts as work even where ` + "`IsActive`" + ` then says otherwise; false is ignored. A stream that ends is opened again after 2 seconds, later after up to a minute; meanwhile the workload is polled.
- A server without ` + "`StreamIsActive`" + ` is polled; one without ` + "`StreamMetricSpec`" + ` is asked for its metrics every minute.`
)

func examples() []scalers.Example {
	return []scalers.Example{
		{Title: "Minimal", Metadata: map[string]string{"scalerAddress": "my-scaler:6000"}},
		{
			Title: "Production",
			Metadata: map[string]string{
				"scalerAddress": "my-scaler.scalers.svc:6000",
				"longitude":     "13.4", // handed on, as all that is not a parameter
			},
			Auth: map[string]string{
				"caCert":        "-----BEGIN CERTIFICATE-----",
				"tlsClientCert": "-----BEGIN CERTIFICATE-----",
				"tlsClientKey":  "-----BEGIN PRIVATE KEY-----",
			},
		},
	}
}
