package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/weir-sh/weir/internal/outbound"
	"github.com/weir-sh/weir/pkg/controller/authentication"
	"github.com/weir-sh/weir/pkg/controller/scaledjob"
	"github.com/weir-sh/weir/pkg/controller/scaledobject"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/metricsapi"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// leaseName is the default, and KEDA's on purpose: see the help of weir serve.
const leaseName = "operator.keda.sh"

// run builds every part and blocks until ctx ends or one part fails.
func run(ctx context.Context, o *options, registry *scalers.Registry, network *outbound.Network, log *slog.Logger) error {
	quietLibraries(log)
	config, err := restConfig(o)
	if err != nil {
		return err
	}
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("making a discovery client: %w", err)
	}
	if err := awaitDefinitions(ctx, found, log); err != nil || ctx.Err() != nil {
		return err
	}
	m, debug, err := newManager(config, o)
	if err != nil {
		return err
	}
	c := new(controls)
	if c.told, err = newTelemetry(m, o, observed{c.snapshots, c.sources}, log); err != nil {
		return err
	}
	if err := c.build(ctx, m, o, registry, network, log); err != nil {
		return err
	}
	c.routes(debug)
	if err := serveAPIs(m, o, registry, c, log); err != nil {
		return err
	}
	log.Info("starting", slog.String("version", o.version), slog.Int("scalers", len(registry.Types())))
	if err := m.Start(ctx); err != nil {
		return fmt.Errorf("running: %w", err)
	}
	return nil
}

// restConfig finds the API server. Requests are not limited here, unless a flag says
// so: the API server protects itself, and a queue in front of it would only make
// scaling late.
func restConfig(o *options) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w; give --kubeconfig, or run inside a cluster", err)
	}
	config.QPS, config.Burst, config.DisableCompression = o.kubeQPS, o.kubeBurst, o.plainAnswers
	config.UserAgent = "weir/" + o.version
	config.WarningHandler = rest.NoWarnings{} // the names that KEDA's users depend on are older than the advice
	return config, nil
}

// newManager makes the manager and the routes under debugPath.
func newManager(config *rest.Config, o *options) (ctrl.Manager, *http.ServeMux, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, nil, err
	}
	debug := http.NewServeMux()
	m, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache:  o.cache(),
		Metrics: metricsserver.Options{
			BindAddress:   o.metricsAddress,
			ExtraHandlers: map[string]http.Handler{debugPath: debug},
		},
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              o.leaseName,
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &o.renewDeadline,
		RetryPeriod:                   &o.retryPeriod,
		LeaderElectionNamespace:       o.leaseNamespace,
		LeaderElectionReleaseOnCancel: true,
		PprofBindAddress:              o.pprofAddress,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("making the manager: %w", err)
	}
	err = errors.Join(m.AddHealthzCheck("ping", healthz.Ping), m.AddReadyzCheck("ping", healthz.Ping))
	return m, debug, err
}

// controls are the parts that act, and what they tell of it. They run on the leader
// only.
type controls struct {
	told    hooks
	engine  *engine.Engine
	objects *scaledobject.Reconciler
	jobs    *scaledjob.Reconciler
}

// build makes engine, credentials and controllers.
func (c *controls) build(ctx context.Context, m ctrl.Manager, o *options, registry *scalers.Registry, network *outbound.Network, log *slog.Logger) error {
	client, err := kubernetes.NewForConfig(m.GetConfig())
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	env := scalers.Env{
		Log: log.With(slog.String("part", "scaler")), ClientName: "weir",
		HTTP: network.HTTP, Dial: network.Dial, RootCAs: network.Roots, Cluster: kube.Pods{Cache: m.GetClient()},
	}
	if c.engine, err = c.newEngine(env, log); err != nil {
		return err
	}
	watches := kube.NewWatches(client, func(dependents []string) {
		c.objects.OnReference(dependents)
		c.jobs.OnReference(dependents)
	}, log.With(slog.String("part", "watches")))
	stores, closeStores, err := openStores(client, o, env, c.told, log)
	if err != nil {
		return err
	}
	credentials := kube.Credentials{
		Objects: kube.Reader{Watches: watches, Cache: m.GetClient()}, ClusterNamespace: o.clusterNamespace, Stores: stores,
		RestrictSecrets: o.restrictSecrets, FilePathRoot: o.filePathRoot, VaultToken: param.NewSecret(o.vaultToken), VaultAddresses: o.vaultAddresses,
	}
	if err := c.reconcilers(m, o, registry, credentials, watches, log); err != nil {
		return err
	}
	if err := setRole(ctx, client, o, "null"); err != nil {
		return err
	}
	return errors.Join(
		m.Add(leading{watches.Run}), m.Add(leading{c.engine.Run}), m.Add(everywhere{untilEnd(closeStores)}),
		m.Add(leading{leaderLabel(client, o, log)}),
		c.objects.SetUp(ctx, m, o.concurrency), c.jobs.SetUp(ctx, m, cmp.Or(o.jobConcurrency, o.concurrency)),
		authentication.SetUp(m, m.GetEventRecorder("weir")),
	)
}

// newEngine makes the engine, which tells the controllers of its readings.
func (c *controls) newEngine(env scalers.Env, log *slog.Logger) (*engine.Engine, error) {
	env.HTTP = c.told.counted(env.HTTP)
	return engine.New(engine.Config{
		Env:        env,
		Log:        log.With(slog.String("part", "engine")),
		OnReadings: func(owners []engine.Owner) { c.objects.OnReadings(owners); c.jobs.OnReadings(owners) },
		OnFetch:    c.told.fetched,
	})
}

// reconcilers builds the controllers of ScaledObjects and ScaledJobs.
func (c *controls) reconcilers(m ctrl.Manager, o *options, registry *scalers.Registry, credentials kube.Credentials, watches *kube.Watches, log *slog.Logger) error {
	scales, err := kube.NewScales(rest.CopyConfig(m.GetConfig()), m.GetRESTMapper())
	if err != nil {
		return err
	}
	recorder := m.GetEventRecorder("weir")
	c.objects = scaledobject.New(scaledobject.Config{
		Client: m.GetClient(), Live: m.GetAPIReader(), Scales: scales, Engine: c.engine, Registry: registry, Credentials: credentials,
		References: watches, Events: recorder, Log: log.With(slog.String("part", "scaledobject")), Version: o.version,
		OnDecision: c.told.decidedObject, OnScaled: c.told.scaledObject,
	})
	c.jobs = scaledjob.New(scaledjob.Config{
		Client: m.GetClient(), Live: m.GetAPIReader(), Engine: c.engine, Registry: registry, Credentials: credentials,
		References: watches, Events: recorder, Log: log.With(slog.String("part", "scaledjob")), Version: o.version,
		OnDecision: c.told.decidedJob, OnCreated: c.told.createdJobs,
	})
	return nil
}

// leading runs on the replica that leads.
type leading struct{ run func(context.Context) error }

// Start implements manager.Runnable.
func (l leading) Start(ctx context.Context) error { return l.run(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (leading) NeedLeaderElection() bool { return true }

// everywhere runs on every replica.
type everywhere struct{ run func(context.Context) error }

// Start implements manager.Runnable.
func (e everywhere) Start(ctx context.Context) error { return e.run(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }

// readings is the reconciler as the metrics API sees it.
type readings struct{ from *scaledobject.Reconciler }

// ExternalMetric implements metricsapi.Readings.
func (r readings) ExternalMetric(ctx context.Context, namespace, object, metric string) (metricsapi.Metric, error) {
	m, err := r.from.Metric(ctx, namespace, object, metric)
	if unknown, ok := errors.AsType[*scaledobject.UnknownError](err); ok {
		return metricsapi.Metric{}, &metricsapi.NotFoundError{What: unknown.What}
	}
	return metricsapi.Metric{Value: m.Value, At: m.At}, err
}

var (
	_ manager.LeaderElectionRunnable = leading{}
	_ manager.LeaderElectionRunnable = everywhere{}
)
