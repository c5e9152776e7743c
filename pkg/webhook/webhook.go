// Package webhook is the validating admission webhook: it refuses objects of
// keda.sh that break a rule, with all that is wrong in one answer, and warns of
// what is doubtful.
//
// The rules are those of package triggers, so that the controllers, which apply
// them too, and the command line say the same. Three things are admission's own:
//
//   - Credentials are not read. What comes from an authentication object or from
//     the workload's environment is unknown here, and a problem counts only where
//     it is there whatever the unknown values are.
//   - Objects may be applied in any order. A workload or authentication object
//     that does not exist is a warning.
//   - What is there may stay. A change that leaves the spec as it is, an object
//     that is being deleted, and what cannot be judged for an error of weir's own
//     are let through.
//
// Nothing here waits for the network: other objects are looked up in the caches
// by index, so that an answer takes as long with ten thousand objects as with one.
package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers"
)

// Indexes that the cache must have, as the controller of ScaledObjects adds them.
const (
	// IndexTarget finds ScaledObjects and HPAs by triggers.TargetKey.
	IndexTarget = "weir.target"
	// IndexHPA finds ScaledObjects by the name of their HPA.
	IndexHPA = "weir.hpa"
)

// Cache holds what surrounds an object; cache.Cache of controller-runtime is one.
type Cache interface {
	client.Reader
	// GetInformer fills the cache with a kind, and returns when it is full.
	GetInformer(ctx context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error)
}

// Config is what a Server needs.
type Config struct {
	Registry *scalers.Registry // required
	Cache    Cache             // required; with the indexes above
	// Certificate returns the serving certificate of the moment. Required.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Address to listen on, such as ":9443". Required by Run.
	Address string
	// Namespaces that weir serves; empty means all. Objects of others are let
	// through unseen.
	Namespaces   []string
	MinTLS       uint16   // version of TLS; zero means 1.2
	CipherSuites []uint16 // up to TLS 1.2; nil means Go's choice
	// Observe is told of every answer, in the goroutine that gives it; nil is not.
	Observe func(Outcome)
	Log     *slog.Logger // required
}

// Outcome is one answer, for metrics.
type Outcome struct {
	Kind      string // of keda.sh/v1alpha1
	Namespace string // empty for ClusterTriggerAuthentications
	Name      string
	Action    string // "create" or "update"
	// Reasons are those of the broken rules, each once, in the order of the rules;
	// empty when the object was let through.
	Reasons []string
	// Took is the time from the decoded request to the answer.
	Took time.Duration
}

// Server answers admission reviews.
type Server struct {
	cfg Config
	mux *http.ServeMux
}

// New checks cfg; it does no I/O.
func New(cfg Config) (*Server, error) {
	if cfg.Registry == nil || cfg.Cache == nil || cfg.Certificate == nil || cfg.Log == nil {
		return nil, errors.New("admission needs Registry, Cache, Certificate and Log")
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Outcome) {}
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	for path, judge := range map[string]judge{
		PathScaledObjects:                 s.scaledObject,
		PathScaledJobs:                    s.scaledJob,
		PathTriggerAuthentications:        s.triggerAuthentication,
		PathClusterTriggerAuthentications: s.clusterTriggerAuthentication,
	} {
		s.mux.Handle("POST "+path, &admission.Webhook{Handler: s.reviewer(judge)})
	}
	return s, nil
}

// The paths at which each kind is judged, as the ValidatingWebhookConfiguration
// names them.
const (
	PathScaledObjects                 = "/validate/scaledobjects"
	PathScaledJobs                    = "/validate/scaledjobs"
	PathTriggerAuthentications        = "/validate/triggerauthentications"
	PathClusterTriggerAuthentications = "/validate/clustertriggerauthentications"
)

// Handler answers AdmissionReviews of admission.k8s.io/v1 at the paths above.
func (s *Server) Handler() http.Handler { return s.mux }

// shutdownTimeout is how long answers under way may take when the server ends.
const shutdownTimeout = 5 * time.Second

// Run fills the caches and then serves until ctx ends; it returns nil then. Before
// the caches are full nobody is refused: connections are.
func (s *Server) Run(ctx context.Context) error {
	if err := s.fill(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return fmt.Errorf("listening for admission reviews: %w", err)
	}
	server := &http.Server{
		Handler:           s.mux,
		TLSConfig:         &tls.Config{GetCertificate: s.cfg.Certificate, MinVersion: max(s.cfg.MinTLS, tls.VersionTLS12), CipherSuites: s.cfg.CipherSuites},
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	ended := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := server.Shutdown(last); err != nil {
			s.cfg.Log.Warn("admission reviews under way were cut off", slog.Any("error", err))
		}
	})
	defer ended()
	s.cfg.Log.Info("admission reviews are answered", slog.String("address", listener.Addr().String()))
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving admission reviews: %w", err)
	}
	return nil
}

// fill waits for the caches of everything that is looked up.
func (s *Server) fill(ctx context.Context) error {
	const patience = 30 * time.Second
	slow := time.AfterFunc(patience, func() {
		s.cfg.Log.Warn("admission waits for its caches; see whether weir may list every kind that deploy/base/rbac.yaml grants")
	})
	defer slow.Stop()
	for _, kind := range []client.Object{
		&v1alpha1.ScaledObject{}, &autoscalingv2.HorizontalPodAutoscaler{},
		&appsv1.Deployment{}, &appsv1.StatefulSet{}, &corev1.LimitRange{},
		&v1alpha1.TriggerAuthentication{}, &v1alpha1.ClusterTriggerAuthentication{},
	} {
		if _, err := s.cfg.Cache.GetInformer(ctx, kind); err != nil && ctx.Err() == nil {
			return fmt.Errorf("filling the cache of %T for admission: %w", kind, err)
		}
	}
	return nil
}
