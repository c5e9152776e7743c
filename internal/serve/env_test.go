package serve

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// serving makes the command with an environment; its log goes to log.
func serving(env map[string]string, log io.Writer) *cobra.Command {
	cmd := NewCommand(Config{Getenv: func(name string) string {
		if name == "GOGC" {
			return "100" // the test's own process keeps its settings
		}
		return env[name]
	}, Log: log})
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	return cmd
}

// started runs the command until it finds no cluster, and returns its error and
// its log. It sets up the loggers of libraries, so tests that call it do not run
// beside each other.
func started(t *testing.T, env map[string]string, args ...string) (problem, log string) {
	t.Helper()
	var out bytes.Buffer
	cmd := serving(env, &out)
	cmd.SetArgs(append(args, "--kubeconfig=/nonexistent/weir0"))
	err := cmd.ExecuteContext(t.Context())
	if err == nil {
		t.Fatal("it runs without a cluster")
	}
	if strings.HasPrefix(err.Error(), "finding the API server") {
		return "", out.String()
	}
	return err.Error(), out.String()
}

func TestEveryFlagOfKEDAIsTakenOrRefusedWithASentence(t *testing.T) {
	values := map[string]string{
		"--secure-port": "7443", "--kube-api-qps": "20", "--kube-api-burst": "30", "--http-max-idle-conns": "5", "--http-max-idle-conns-per-host": "5",
		"--http-idle-conn-timeout": "30s", "--zap-log-level": "error", "--zap-encoder": "json", "--zap-time-encoding": "rfc3339",
	}
	for _, i := range inheritedFlags() {
		t.Run(i.name, func(t *testing.T) {
			arg := i.name
			if !i.isBool {
				value := values[i.name]
				if value == "" {
					value = "x"
				}
				arg += "=" + value
			}
			problem, log := started(t, nil, arg)
			switch i.treatment {
			case obeyed:
				if problem != "" || strings.Contains(log, "no meaning") {
					t.Errorf("refused with %q, logged %q", problem, log)
				}
			case ignored:
				if problem != "" || !strings.Contains(log, `have no meaning for weir and were ignored" names=`+i.name+"\n") {
					t.Errorf("refused with %q, logged %q", problem, log)
				}
			case refused:
				if !strings.HasSuffix(problem, strings.ReplaceAll(i.text, "`", "")) {
					t.Errorf("refused with %q", problem)
				}
			}
			if !serving(nil, io.Discard).Flag(strings.TrimPrefix(i.name, "--")).Hidden {
				t.Error("it is in the help")
			}
		})
	}
}

func TestTheDefaultArgumentsOfKEDAsManifestsAreTaken(t *testing.T) {
	problem, log := started(t, nil, "--leader-elect", "--zap-log-level=info", "--zap-encoder=console", "--zap-time-encoding=rfc3339",
		"--enable-cert-rotation=true", "--cert-dir=/certs", "--ca-dir=/custom/ca", "--enable-prometheus-metrics=true",
		"--operator-service-name=keda-operator", "--v=0", "--logtostderr=true")
	if problem != "" || strings.Count(log, "\n") != 1 || !strings.Contains(log, `names="--operator-service-name --v --logtostderr"`) {
		t.Errorf("refused with %q, logged\n%s", problem, log)
	}
}

func TestFlagsOfKEDAMeanTheSame(t *testing.T) {
	t.Parallel()
	o := &options{leaseName: leaseName, certDir: "/certs", namespace: "n", concurrency: 1}
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.flags(f)
	if err := f.Parse([]string{
		"--leader-election-id=mine", "--profiling-bind-address=", "--metrics-server-service-name=api", "--secure-port=7443", "--enable-cert-rotation",
		"--kube-api-qps=20", "--disable-compression=false", "--zap-log-level=3", "--zap-encoder=json", "--zap-time-encoding=epoch", "--http-idle-conn-timeout=5s",
	}); err != nil {
		t.Fatal(err)
	}
	o.namespace, o.concurrency = "n", 4
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(o.leaseName, o.pprofAddress, o.service, o.apiAddress, o.certDir, o.kubeQPS, o.kubeBurst, o.plainAnswers, o.logLevel, o.logFormat, o.timeEncoding, o.idleTimeout, o.jobConcurrency)
	if want := fmt.Sprintln("mine", "0", "api", ":7443", "", float32(20), 30, false, "debug", "json", "epoch", 5*time.Second, 4); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestVariablesOfKEDAMeanTheSame(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"WATCH_LABEL_SELECTOR": "team in (shop, mail)", "WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH": "team=shop",
		"KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES": "5", "KEDA_SCALEDJOB_CTRL_MAX_RECONCILES": "2",
		"KEDA_OPERATOR_LEADER_ELECTION_LEASE_DURATION": "60s", "KEDA_OPERATOR_LEADER_ELECTION_RENEW_DEADLINE": "40s",
		"KEDA_HTTP_MIN_TLS_VERSION": "TLS10", "KEDA_SERVICE_TLS_CIPHER_LIST": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
	}
	o := &options{namespace: "n", concurrency: 16}
	if err := o.read(func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(o.watched, o.auths, o.concurrency, o.jobConcurrency, o.leaseDuration, o.renewDeadline, o.retryPeriod, o.minTLS, o.ciphers)
	if want := fmt.Sprintln("team in (mail,shop)", "team=shop", 5, 2, time.Minute, 40*time.Second, 2*time.Second, uint16(tls.VersionTLS12),
		[]uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	env["KEDA_SERVICE_MIN_TLS_VERSION"] = "TLS13"
	if e, err := readEnvironment(func(name string) string { return env[name] }); err != nil || e.minTLS != tls.VersionTLS13 {
		t.Errorf("the lowest version is %x, %v", e.minTLS, err)
	}
}

func TestVariablesThatCannotBeObeyedAreRefusedAllAtOnce(t *testing.T) {
	problem, _ := started(t, map[string]string{
		"WATCH_LABEL_SELECTOR": "a=b=c", "KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES": "0", "KEDA_SCALEDJOB_CTRL_MAX_RECONCILES": "many",
		"KEDA_OPERATOR_LEADER_ELECTION_RETRY_PERIOD": "9s", "KEDA_SERVICE_MIN_TLS_VERSION": "TLS11", "KEDA_SERVICE_TLS_CIPHER_LIST": "TLS_RSA_WITH_RC4_128_SHA",
		"RAW_METRICS_GRPC_PROTOCOL": "enabled",
	})
	want := `$KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES must be a whole number of at least 1
$WATCH_LABEL_SELECTOR must be a label selector such as team=shop: found '=', expected: ',' or 'end of string'
$KEDA_SCALEDJOB_CTRL_MAX_RECONCILES must be a whole number of at least 1
$KEDA_SERVICE_MIN_TLS_VERSION must be TLS12 or TLS13
$KEDA_SERVICE_TLS_CIPHER_LIST has cipher suites that are unknown or broken: TLS_RSA_WITH_RC4_128_SHA; name them as Go does, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
of $KEDA_OPERATOR_LEADER_ELECTION_LEASE_DURATION, ..._RENEW_DEADLINE and ..._RETRY_PERIOD each must be longer than the next, the last with a fifth more
$RAW_METRICS_GRPC_PROTOCOL: enabled asks for a stream of raw metrics by gRPC, which weir does not serve. Unset it; the metrics are in Prometheus as keda_scaler_metrics_value, and can be pushed by OpenTelemetry.`
	if problem != want {
		t.Errorf("got\n%s\nwant\n%s", problem, want)
	}
}

func TestVariablesWithoutMeaningAreOneLine(t *testing.T) {
	problem, log := started(t, map[string]string{
		"KEDA_CHECK_UNEXPECTED_SCALERS_PARAMS": "enabled", "RAW_METRICS_GRPC_PROTOCOL": "disabled", "RAW_METRICS_MODE": "all",
	}, "--msg=hello")
	if problem != "" || strings.Count(log, "\n") != 1 || !strings.Contains(log, `names="$KEDA_CHECK_UNEXPECTED_SCALERS_PARAMS $RAW_METRICS_MODE --msg"`) {
		t.Errorf("refused with %q, logged\n%s", problem, log)
	}
}

func TestThePageAboutOperationHasAllOfKEDAsFlagsAndVariables(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range slices.Concat(inheritedFlags(), inheritedVariables()) {
		if !strings.Contains(string(page), i.row()+"\n") {
			t.Errorf("docs/operations.md has no row\n%s", i.row())
		}
	}
}

func TestTimesOfTheLogAreWrittenAsZapDoes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)
	for encoding, want := range map[string]string{
		"": "2026-03-04T05:06:07.089Z", "epoch": "1.772600767089e+09", "millis": "1.772600767089e+12", "nano": "1772600767089000000",
		"iso8601": "2026-03-04T05:06:07.089Z", "rfc3339": "2026-03-04T05:06:07Z", "rfc3339nano": "2026-03-04T05:06:07.089Z",
	} {
		var out bytes.Buffer
		log, err := newLogger(&options{logLevel: "info", logFormat: "text", timeEncoding: encoding}, &out)
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Handler().Handle(t.Context(), slog.NewRecord(at, slog.LevelInfo, "m", 0)); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != "time="+want+" level=INFO msg=m\n" {
			t.Errorf("%q writes %s", encoding, got)
		}
	}
}

func TestSelectorsAreForTheKindsOfKEDA(t *testing.T) {
	t.Parallel()
	var o options
	if o.cache().NewInformer != nil {
		t.Error("informers are changed although nothing is selected")
	}
	env := map[string]string{"WATCH_LABEL_SELECTOR": "a=b", "WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH": "c=d"}
	if err := o.read(func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	if o.cache().NewInformer == nil {
		t.Error("nothing is selected")
	}
	for _, c := range []struct {
		kind runtime.Object
		want string
	}{
		{&v1alpha1.ScaledObject{}, "a=b"},
		{&v1alpha1.ScaledJob{}, "a=b"},
		{&v1alpha1.TriggerAuthentication{}, "c=d"},
		{&v1alpha1.ClusterTriggerAuthentication{}, "c=d"},
		{&corev1.Pod{}, "<nil>"},
	} {
		if got := fmt.Sprint(o.selects(c.kind)); got != c.want {
			t.Errorf("%T is selected by %s, want %s", c.kind, got, c.want)
		}
	}
}
