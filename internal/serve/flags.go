// Package serve is the command weir serve: it builds every part of the server and
// runs them. It is a package of its own so that its page can be generated.
package serve

import (
	"cmp"
	"errors"
	"io"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weir-sh/weir/internal/outbound"
	"github.com/weir-sh/weir/pkg/scalers"
)

// options are the flags of weir serve. What a Kubernetes manifest gives by the
// downward API comes from the environment.
type options struct {
	webhookOptions
	environment

	version           string
	kubeconfig        string
	namespace         string // weir's own
	podName           string // empty outside a pod
	watchNamespaces   []string
	clusterNamespace  string
	leaderElect       bool
	leaseNamespace    string
	metricsAddress    string
	probeAddress      string
	pprofAddress      string
	apiAddress        string
	service           string
	clusterDomain     string
	certDir           string
	takeOver          bool
	concurrency       int
	logLevel          string
	logFormat         string
	registerAPIServer bool
	allowLinkLocal    bool
	caDirs            []string
	filePathRoot      string
	vaultAddresses    []string
	restrictSecrets   bool
	secretTTL         time.Duration
	tokenLifetime     time.Duration // of service account tokens; zero means the default
	vaultToken        string        // never shown
	leaseName         string
	kubeQPS           float32 // negative: no limit
	kubeBurst         int
	plainAnswers      bool // of the API server
	maxIdle           int  // HTTP connections to upstreams
	maxIdlePerHost    int
	idleTimeout       time.Duration
	timeEncoding      string // of the log; empty: slog's own
	ownCertificates   bool   // whatever certDir says
	prometheus        bool
	openTelemetry     bool
	highCardinality   bool
	given             given // what has no meaning
	getenv            func(string) string
}

// gcPercent trades CPU for memory: most of the heap is objects at rest, which
// would otherwise be allowed to double before they are collected.
const gcPercent = 40

// Config is what the command gets from main; all of it is required.
type Config struct {
	Version  string
	Registry *scalers.Registry
	Getenv   func(string) string
	Log      io.Writer
}

// NewCommand makes the command that runs the server.
func NewCommand(c Config) *cobra.Command {
	getenv := c.Getenv
	o := &options{
		version:          c.Version,
		namespace:        cmp.Or(getenv("POD_NAMESPACE"), "weir-system"),
		podName:          getenv("POD_NAME"),
		watchNamespaces:  list(getenv("WATCH_NAMESPACE")),
		clusterNamespace: getenv("KEDA_CLUSTER_OBJECT_NAMESPACE"),
		vaultAddresses:   list(getenv("VAULT_ADDR")),
		leaseName:        leaseName,
		concurrency:      16,
		getenv:           getenv,
	}
	errEnvironment := o.read(getenv)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the autoscaler: controllers, measuring and the external metrics API",
		Long: `Runs everything in one process: the controllers of the keda.sh API, the engine
that measures, and the external metrics API that HorizontalPodAutoscalers read.

Several replicas may run; one of them leads and acts. With the flag --leader-elect
the leader holds the Lease "operator.keda.sh", the name that KEDA uses too: where
both run with the same namespace for it, only one of them acts.

KEDA's own flags and variables are taken too; docs/operations.md lists them.
OpenTelemetry is set up by the standard OTEL_ variables; see docs/metrics.md.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(errEnvironment, o.check()); err != nil {
				return err
			}
			log, err := newLogger(o, c.Log)
			if err != nil {
				return err
			}
			o.given.log(log)
			if getenv("GOGC") == "" {
				debug.SetGCPercent(gcPercent)
			}
			network, err := o.network(getenv)
			if err := errors.Join(err, o.access(getenv)); err != nil {
				return err
			}
			return run(cmd.Context(), o, c.Registry, network, log)
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

// flags declares all of them.
func (o *options) flags(f *pflag.FlagSet) {
	o.bind(f)
	o.bindKEDA(f)
	bindInherited(f, &o.given)
}

// bind declares the flags.
func (o *options) bind(f *pflag.FlagSet) {
	o.bindWebhook(f)
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "path of a kubeconfig; without it the in-cluster configuration is used, or $KUBECONFIG")
	f.StringVar(&o.namespace, "namespace", o.namespace, "namespace weir runs in; from $POD_NAMESPACE")
	f.StringSliceVar(&o.watchNamespaces, "watch-namespace", o.watchNamespaces, "namespaces to serve, all when empty; from $WATCH_NAMESPACE")
	f.StringVar(&o.clusterNamespace, "cluster-object-namespace", o.clusterNamespace,
		"namespace in which ClusterTriggerAuthentications find Secrets and ConfigMaps; weir's own when empty; from $KEDA_CLUSTER_OBJECT_NAMESPACE")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "act only while holding the Lease, so that several replicas may run")
	f.StringVar(&o.leaseNamespace, "leader-election-namespace", "", "namespace of the Lease; weir's own when empty")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", `address of Prometheus metrics and /debug/weir; "0" turns them off`)
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", `address of /healthz and /readyz; "0" turns them off`)
	f.StringVar(&o.pprofAddress, "pprof-bind-address", "0", `address of Go's profiles under /debug/pprof/; "0" turns them off`)
	f.Lookup("pprof-bind-address").Hidden = true // for whoever works on weir
	f.StringVar(&o.apiAddress, "secure-bind-address", ":6443", "address of the external metrics API")
	f.StringVar(&o.service, "metrics-service-name", "weir-metrics-apiserver", "Service through which the API server reaches the external metrics API")
	f.StringVar(&o.clusterDomain, "k8s-cluster-domain", "cluster.local", "DNS domain of the cluster, for the serving certificate")
	f.StringVar(&o.certDir, "cert-dir", "", "directory with tls.crt, tls.key and ca.crt that somebody else keeps; without it weir makes its own certificates")
	f.BoolVar(&o.registerAPIServer, "enable-apiservice-patching", true, "keep the caBundle of the APIService right")
	f.BoolVar(&o.takeOver, "take-over-apiservice", false, "point the APIService of external metrics to weir even if it leads to another Service")
	f.BoolVar(&o.allowLinkLocal, "allow-link-local", false, "let triggers reach link-local addresses and metadata services, which hold the credentials of weir's own pod and node")
	f.StringSliceVar(&o.caDirs, "ca-dir", []string{"/custom/ca"}, "directories with certificate authorities to trust besides the system's, as PEM; may be repeated")
	f.StringVar(&o.filePathRoot, "filepath-auth-root-path", "", "directory that filePath of ClusterTriggerAuthentications is relative to; they are refused without it")
	f.StringSliceVar(&o.vaultAddresses, "vault-address", o.vaultAddresses,
		"Vault servers that TriggerAuthentications may have weir log in to as itself; any in a ClusterTriggerAuthentication; from $VAULT_ADDR")
	f.BoolVar(&o.restrictSecrets, "restrict-secret-access", false, "read Secrets in the cluster object namespace only; also by $KEDA_RESTRICT_SECRET_ACCESS")
	f.DurationVar(&o.secretTTL, "secret-ttl", time.Minute, "how long a secret of Vault or a cloud's store is used before it is read anew")
	f.IntVar(&o.concurrency, "concurrency", o.concurrency, "how many ScaledObjects are reconciled at a time")
	f.BoolVar(&o.prometheus, "enable-prometheus-metrics", true, "serve keda_ and weir_ metrics on --metrics-bind-address, besides those of the process")
	f.BoolVar(&o.openTelemetry, "enable-opentelemetry-metrics", false, "push the same metrics by OTLP, to where $OTEL_EXPORTER_OTLP_ENDPOINT says")
	f.BoolVar(&o.highCardinality, "enable-high-cardinality-metrics-labels", false, "tell the times of HTTP requests apart by object")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json")
}

// bindKEDA declares flags that KEDA has under another name than weir.
func (o *options) bindKEDA(f *pflag.FlagSet) {
	f.StringVar(&o.leaseName, "leader-election-id", o.leaseName, "name of the Lease")
	f.StringVar(&o.pprofAddress, "profiling-bind-address", o.pprofAddress, "see --pprof-bind-address")
	f.StringVar(&o.service, "metrics-server-service-name", o.service, "see --metrics-service-name")
	f.Func("secure-port", "see --secure-bind-address", func(v string) error {
		if _, err := strconv.ParseUint(v, 10, 16); err != nil {
			return errors.New("it must be a port")
		}
		o.apiAddress = ":" + v
		return nil
	})
	f.BoolVar(&o.ownCertificates, "enable-cert-rotation", false, "make certificates, whatever --cert-dir says")
	f.Float32Var(&o.kubeQPS, "kube-api-qps", -1, "requests per second to the API server; negative: no limit")
	f.IntVar(&o.kubeBurst, "kube-api-burst", 30, "requests at once above that")
	f.BoolVar(&o.plainAnswers, "disable-compression", true, "answers of the API server come uncompressed")
	f.IntVar(&o.maxIdle, "http-max-idle-conns", 0, "idle HTTP connections to upstreams")
	f.IntVar(&o.maxIdlePerHost, "http-max-idle-conns-per-host", 64, "... to one server")
	f.DurationVar(&o.idleTimeout, "http-idle-conn-timeout", 90*time.Second, "how long an idle one is kept")
	o.bindZap(f)
}

// check refuses flags that make no sense, all at once.
func (o *options) check() error {
	var errs []error
	if o.namespace == "" {
		errs = append(errs, errors.New("--namespace must not be empty"))
	}
	if o.secretTTL != 0 && o.secretTTL < time.Second {
		errs = append(errs, errors.New("--secret-ttl must be at least 1s"))
	}
	if o.concurrency < 1 {
		errs = append(errs, errors.New("--concurrency must be at least 1"))
	}
	if o.maxIdle < 0 || o.maxIdlePerHost < 0 || o.idleTimeout < 0 {
		errs = append(errs, errors.New("--http-max-idle-conns, --http-max-idle-conns-per-host and --http-idle-conn-timeout must not be negative"))
	}
	if o.ownCertificates {
		o.certDir = ""
	}
	if o.jobConcurrency == 0 {
		o.jobConcurrency = o.concurrency
	}
	o.pprofAddress = cmp.Or(o.pprofAddress, "0") // empty is KEDA's word for off
	o.clusterNamespace = cmp.Or(o.clusterNamespace, o.namespace)
	o.leaseName = cmp.Or(o.leaseName, leaseName)
	o.leaseNamespace = cmp.Or(o.leaseNamespace, o.namespace)
	return errors.Join(errs...)
}

// read takes what the environment says.
func (o *options) read(getenv func(string) string) error {
	r := reader{getenv: getenv}
	o.concurrency = cmp.Or(r.count("KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES"), o.concurrency)
	var err error
	o.environment, err = readEnvironment(getenv)
	return errors.Join(errors.Join(r.errs...), err, o.given.examine(getenv))
}

// list splits a comma-separated list; quotes around it and empty items do not
// count.
func list(s string) []string {
	var out []string
	for item := range strings.SplitSeq(strings.Trim(s, `"`), ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// network builds what scalers reach their upstreams with.
func (o *options) network(getenv func(string) string) (*outbound.Network, error) {
	c, err := outbound.FromEnv(getenv)
	if err != nil {
		return nil, err
	}
	c.AllowLinkLocal, c.CADirs = o.allowLinkLocal, o.caDirs
	c.MaxIdle, c.MaxIdlePerHost, c.IdleTimeout = o.maxIdle, o.maxIdlePerHost, o.idleTimeout
	return outbound.New(c)
}
