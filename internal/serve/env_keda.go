package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"
)

// treatment is what becomes of a flag or variable of KEDA.
type treatment string

// The treatments.
const (
	obeyed  treatment = "obeyed"  // it does what it does in KEDA
	ignored treatment = "ignored" // it is taken and has no meaning; the log says so at the start
	refused treatment = "refused" // weir does not start: it asks for what weir does not do
)

// inherited is a flag ("--name") or variable ("NAME") that KEDA's manifests and
// charts set. The page about operation is tested against these.
type inherited struct {
	name      string
	treatment treatment
	text      string // what it does, or why it does nothing, and what to do instead
	isBool    bool   // a flag that needs no value
}

// inheritedFlags are KEDA's flags that weir has not under the same name, or with
// a meaning that needs a word. The others are in the help of weir serve.
func inheritedFlags() []inherited {
	oneProcess := "Operator and metrics server are one process: there is no connection between them."
	logs := "Weir logs to standard error only; see `--log-level` and `--log-format`."
	return []inherited{
		{name: "--leader-election-id", treatment: obeyed, text: "Name of the Lease. Grant the Role `weir` the new name."},
		{name: "--profiling-bind-address", treatment: obeyed, text: "Address of Go's profiles under /debug/pprof/; empty turns them off."},
		{name: "--metrics-server-service-name", treatment: obeyed, text: "The same as `--metrics-service-name`."},
		{name: "--secure-port", treatment: obeyed, text: "Port of `--secure-bind-address`, on all interfaces."},
		{name: "--enable-cert-rotation", treatment: obeyed, isBool: true, text: "`true`: weir makes and keeps its certificates, and `--cert-dir` does not count. `false` needs `--cert-dir`."},
		{name: "--kube-api-qps", treatment: obeyed, text: "Requests per second to the API server. Weir's default is no limit, as the API server protects itself."},
		{name: "--kube-api-burst", treatment: obeyed, text: "Requests at once above that."},
		{name: "--disable-compression", treatment: obeyed, isBool: true, text: "Whether answers of the API server come uncompressed, which saves processor time; `true` by default."},
		{name: "--http-max-idle-conns", treatment: obeyed, text: "Idle HTTP connections to upstreams that are kept in all; 0, the default, is no bound."},
		{name: "--http-max-idle-conns-per-host", treatment: obeyed, text: "... to one server; the default is 64. Scalers that limit their connections keep as many as they use."},
		{name: "--http-idle-conn-timeout", treatment: obeyed, text: "How long an idle one is kept; the default is 90s."},
		{name: "--zap-log-level", treatment: obeyed, text: "`debug`, `info`, `warn`, `error`, or a number, which means `debug`. The same as `--log-level`."},
		{name: "--zap-encoder", treatment: obeyed, text: "`json` or `console`, which is `--log-format=text`."},
		{name: "--zap-time-encoding", treatment: obeyed, text: "`epoch`, `millis`, `nano`, `iso8601`, `rfc3339` or `rfc3339nano`."},
		{name: "--zap-devel", treatment: obeyed, isBool: true, text: "`true` is `--log-level=debug --log-format=text`."},
		{name: "--zap-stacktrace-level", treatment: ignored, text: "Weir logs stacks of panics only, and these always."},
		{name: "--metrics-service-bind-address", treatment: ignored, text: oneProcess},
		{name: "--metrics-service-address", treatment: ignored, text: oneProcess},
		{name: "--metrics-service-grpc-authority", treatment: ignored, text: oneProcess},
		{name: "--operator-service-name", treatment: ignored, text: oneProcess},
		{name: "--k8s-cluster-name", treatment: ignored, text: "It names the sender of CloudEvents, which weir does not send."},
		{name: "--cert-secret-name", treatment: ignored, text: "Weir keeps its certificates in the Secret `weir-certs`."},
		{name: "--cache-miss-to-direct-client", treatment: ignored, isBool: true, text: "The webhook judges by what weir has in memory, and lets through what it cannot judge."},
		{name: "--msg", treatment: ignored, text: "It is a greeting."},
		{name: "--v", treatment: ignored, text: logs},
		{name: "--vmodule", treatment: ignored, text: logs},
		{name: "--logtostderr", treatment: ignored, isBool: true, text: logs},
		{name: "--alsologtostderr", treatment: ignored, isBool: true, text: logs},
		{name: "--stderrthreshold", treatment: ignored, text: logs},
		{name: "--log_backtrace_at", treatment: ignored, text: logs},
		{name: "--add_dir_header", treatment: ignored, isBool: true, text: logs},
		{name: "--skip_headers", treatment: ignored, isBool: true, text: logs},
		{name: "--skip_log_headers", treatment: ignored, isBool: true, text: logs},
		{name: "--one_output", treatment: ignored, isBool: true, text: logs},
		{name: "--log_file_max_size", treatment: ignored, text: logs},
		{name: "--log_dir", treatment: refused, text: "Weir does not write its log to files. " + logs},
		{name: "--log_file", treatment: refused, text: "Weir does not write its log to files. " + logs},
		{name: "--port", treatment: refused, text: "It has two meanings in KEDA. Use `--metrics-bind-address` for that of the metrics server, and `--webhook-bind-address` for that of the webhooks."},
		{name: "--tls-cert-file", treatment: refused, text: "Use `--cert-dir`, the directory with tls.crt, tls.key and ca.crt."},
		{name: "--tls-private-key-file", treatment: refused, text: "Use `--cert-dir`, the directory with tls.crt, tls.key and ca.crt."},
		{name: "--client-ca-file", treatment: refused, text: "Weir trusts the authorities that the API server publishes for its own clients, and no others."},
		{name: "--authentication-kubeconfig", treatment: refused, text: "Weir asks the API server of `--kubeconfig` who a caller is."},
		{name: "--authorization-kubeconfig", treatment: refused, text: "Weir asks the API server of `--kubeconfig` what a caller may do."},
		{name: "--audit-log-path", treatment: refused, text: "Weir writes no audit log; that of the API server has all requests."},
		{name: "--audit-policy-file", treatment: refused, text: "Weir writes no audit log; that of the API server has all requests."},
	}
}

// inheritedVariables are the variables of the environment.
func inheritedVariables() []inherited {
	return []inherited{
		{name: "WATCH_NAMESPACE", treatment: obeyed, text: "Namespaces to serve, separated by commas; all when empty. The same as `--watch-namespace`."},
		{name: "WATCH_LABEL_SELECTOR", treatment: obeyed, text: "Serve only ScaledObjects and ScaledJobs with such labels."},
		{name: "WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH", treatment: obeyed, text: "Know only TriggerAuthentications and ClusterTriggerAuthentications with such labels."},
		{name: "POD_NAMESPACE", treatment: obeyed, text: "Namespace weir runs in; `weir-system` when unset. The same as `--namespace`."},
		{name: "KEDA_CLUSTER_OBJECT_NAMESPACE", treatment: obeyed, text: "The same as `--cluster-object-namespace`."},
		{name: "KEDA_RESTRICT_SECRET_ACCESS", treatment: obeyed, text: "`true` is `--restrict-secret-access`. TriggerAuthentications of other namespaces then have no Secrets; in KEDA they read those of the same name in its namespace."},
		{name: "KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY", treatment: obeyed, text: "Lifetime of tokens of service accounts, from 1h to 6h; the default is 1h."},
		{name: "KEDA_HTTP_DEFAULT_TIMEOUT", treatment: obeyed, text: "Longest time of an HTTP request to an upstream in milliseconds; the default is 3000. Zero and less are refused."},
		{name: "KEDA_HTTP_DISABLE_KEEP_ALIVE", treatment: obeyed, text: "`true` makes a connection per HTTP request."},
		{name: "KEDA_HTTP_MIN_TLS_VERSION", treatment: obeyed, text: "Lowest version of TLS to upstreams: TLS10, TLS11, TLS12 or TLS13; the default is TLS12."},
		{name: "KEDA_HTTP_TLS_CIPHER_LIST", treatment: obeyed, text: "Cipher suites to upstreams up to TLS 1.2, by Go's names, separated by commas or colons. Unknown and broken ones are refused."},
		{name: "KEDA_SERVICE_MIN_TLS_VERSION", treatment: obeyed, text: "Lowest version of TLS that weir serves: TLS12 or TLS13; the default is TLS12 or, where it is set, KEDA_HTTP_MIN_TLS_VERSION."},
		{name: "KEDA_SERVICE_TLS_CIPHER_LIST", treatment: obeyed, text: "Cipher suites that weir serves with up to TLS 1.2; the default is KEDA_HTTP_TLS_CIPHER_LIST."},
		{name: "KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES", treatment: obeyed, text: "How many ScaledObjects are reconciled at a time. The same as `--concurrency`, which is 16 by default."},
		{name: "KEDA_SCALEDJOB_CTRL_MAX_RECONCILES", treatment: obeyed, text: "The same for ScaledJobs; by default as many as ScaledObjects."},
		{name: "KEDA_OPERATOR_LEADER_ELECTION_LEASE_DURATION", treatment: obeyed, text: "How long others wait for a leader that is gone; the default is 15s."},
		{name: "KEDA_OPERATOR_LEADER_ELECTION_RENEW_DEADLINE", treatment: obeyed, text: "How long the leader tries to renew the Lease before it ends; the default is 10s."},
		{name: "KEDA_OPERATOR_LEADER_ELECTION_RETRY_PERIOD", treatment: obeyed, text: "Time between attempts to lead; the default is 2s."},
		{name: "VAULT_ADDR", treatment: obeyed, text: "The same as `--vault-address`."},
		{name: "VAULT_TOKEN", treatment: obeyed, text: "Weir's own token, for the servers of `--vault-address` and for ClusterTriggerAuthentications."},
		{name: "KEDA_CHECK_UNEXPECTED_SCALERS_PARAMS", treatment: ignored, text: "Weir always warns of parameters that a scaler does not know."},
		{name: "RAW_METRICS_GRPC_PROTOCOL", treatment: refused, text: "`enabled` asks for a stream of raw metrics by gRPC, which weir does not serve. Unset it; the metrics are in Prometheus as keda_scaler_metrics_value, and can be pushed by OpenTelemetry."},
		{name: "RAW_METRICS_MODE", treatment: ignored, text: "It chooses what the stream of raw metrics carries, which weir does not serve."},
	}
}

// given is what was said that has no meaning for weir.
type given struct{ names []string }

// log says so, in one line.
func (g *given) log(log *slog.Logger) {
	if len(g.names) > 0 {
		log.Info("some flags and variables of KEDA have no meaning for weir and were ignored", slog.String("names", strings.Join(g.names, " ")))
	}
}

// bindInherited declares the flags that are ignored or refused. All flags that
// are KEDA's alone stay out of the help, which is long enough.
func bindInherited(f *pflag.FlagSet, g *given) {
	for _, i := range inheritedFlags() {
		name := strings.TrimPrefix(i.name, "--")
		if i.treatment != obeyed {
			f.Var(inheritedFlag{i, g}, name, i.text)
		}
		flag := f.Lookup(name)
		flag.Hidden = true
		if i.isBool && flag.NoOptDefVal == "" {
			flag.NoOptDefVal = "true"
		}
	}
}

// inheritedFlag is a flag that is ignored or refused.
type inheritedFlag struct {
	inherited
	given *given
}

// Set implements pflag.Value.
func (i inheritedFlag) Set(string) error {
	if i.treatment == refused {
		return errors.New(strings.ReplaceAll(i.text, "`", ""))
	}
	i.given.names = append(i.given.names, i.name)
	return nil
}

// String implements pflag.Value.
func (inheritedFlag) String() string { return "" }

// Type implements pflag.Value.
func (i inheritedFlag) Type() string {
	if i.isBool {
		return "bool"
	}
	return "string"
}

// examine looks at the variables that are ignored or refused.
func (g *given) examine(getenv func(string) string) error {
	var errs []error
	for _, i := range inheritedVariables() {
		switch value := getenv(i.name); {
		case value == "" || i.treatment == obeyed:
		case i.treatment == ignored:
			g.names = append(g.names, "$"+i.name)
		case strings.EqualFold(value, "enabled"): // of the only variable that is refused
			errs = append(errs, fmt.Errorf("$%s: %s", i.name, strings.ReplaceAll(i.text, "`", "")))
		}
	}
	return errors.Join(errs...)
}

// row is the line of the page about operation that describes i.
func (i inherited) row() string {
	return fmt.Sprintf("| `%s` | %s | %s |", i.name, i.treatment, i.text)
}
