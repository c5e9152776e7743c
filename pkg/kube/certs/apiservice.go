package certs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// ExternalMetricsAPIService is the name of the APIService of external metrics.
// Kubernetes has room for one.
const ExternalMetricsAPIService = "v1beta1.external.metrics.k8s.io"

// APIServices is the access to APIServices; ApiregistrationV1().APIServices()
// of an aggregator clientset is one.
type APIServices interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (*apiregistrationv1.APIService, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (*apiregistrationv1.APIService, error)
}

// APIServiceConfig says which APIService an [APIService] keeps and for whom.
type APIServiceConfig struct {
	Client APIServices // required
	Certs  Source      // required; its bundle is written
	// Name of the APIService; empty means ExternalMetricsAPIService.
	Name string
	// Service is weir's Service. Required. Unless TakeOver is set it is only
	// compared, never written.
	Service types.NamespacedName
	// TakeOver allows to point an APIService of another Service to ours.
	TakeOver bool
	// Port of Service, written with TakeOver; zero means 443.
	Port int32
	// Interval between two looks at the object; zero means two minutes.
	Interval time.Duration
	Log      *slog.Logger // required
}

// APIService keeps spec.caBundle of an APIService equal to a source's bundle.
// It writes nothing else and only what differs, by server-side apply. Every
// replica may run one.
type APIService struct {
	keeper
	cfg APIServiceConfig
}

// ForeignServiceError says that the APIService leads to another Service than
// weir's, most likely another metrics adapter's.
type ForeignServiceError struct {
	Name  string // of the APIService
	Owner string // namespace/name of the Service it leads to, empty when the API server itself serves it
	Ours  string // namespace/name of weir's Service
}

// Error says who holds the APIService and what to do.
func (e *ForeignServiceError) Error() string {
	owner := "Service " + e.Owner
	if e.Owner == "" {
		owner = "the API server itself"
	}
	return fmt.Sprintf("APIService %s leads to %s, not to Service %s: a cluster has one provider of external metrics; "+
		"uninstall the other one and apply weir's manifests again, or allow weir to take the APIService over", e.Name, owner, e.Ours)
}

// NewAPIService checks cfg and subscribes to cfg.Certs; it does no I/O.
func NewAPIService(cfg APIServiceConfig) (*APIService, error) {
	if cfg.Client == nil || cfg.Certs == nil || cfg.Log == nil {
		return nil, errors.New("the upkeep of an APIService needs Client, Certs and Log")
	}
	if cfg.Service.Name == "" || cfg.Service.Namespace == "" {
		return nil, errors.New("the upkeep of an APIService needs the namespace and name of weir's Service")
	}
	if cfg.Name == "" {
		cfg.Name = ExternalMetricsAPIService
	}
	if cfg.Port == 0 {
		cfg.Port = 443
	}
	return &APIService{keeper: newKeeper(cfg.Certs, cfg.Interval, cfg.Log), cfg: cfg}, nil
}

// Run keeps the APIService right until ctx ends: at once, after each change
// of the bundle, and from time to time. Errors are logged and tried again. It
// returns nil.
func (a *APIService) Run(ctx context.Context) error {
	a.run(ctx, a.Ensure)
	return nil
}

// Ensure looks once and writes when something differs. The error is a
// *ForeignServiceError when another Service holds the APIService. Without a
// bundle (no certificate yet, or one of a public authority) it does nothing.
func (a *APIService) Ensure(ctx context.Context) error {
	if a.cfg.Certs.CABundle() == nil {
		return nil
	}
	found, err := a.cfg.Client.Get(ctx, a.cfg.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("APIService %s does not exist: apply weir's manifests", a.cfg.Name)
	}
	if err != nil {
		return fmt.Errorf("reading APIService %s: %w", a.cfg.Name, err)
	}
	takeOver, err := a.permitted(found)
	if err != nil {
		return err
	}
	right := func() bool { return !takeOver && bytes.Equal(found.Spec.CABundle, a.cfg.Certs.CABundle()) }
	return a.settle(ctx, right, func(ctx context.Context) error { return a.apply(ctx, found, takeOver) })
}

// permitted returns an error when the APIService must not be written, and
// whether writing it takes it over from another Service.
func (a *APIService) permitted(found *apiregistrationv1.APIService) (takeOver bool, err error) {
	foreign := a.foreign(found)
	switch {
	case foreign != nil && !a.cfg.TakeOver:
		return false, foreign
	case foreign == nil && found.Spec.InsecureSkipTLSVerify:
		return false, fmt.Errorf("APIService %s has spec.insecureSkipTLSVerify, which excludes a CA bundle: "+
			"remove it so that the API server verifies weir's certificate", a.cfg.Name)
	}
	return foreign != nil, nil
}

// foreign returns nil when the APIService leads to our Service.
func (a *APIService) foreign(found *apiregistrationv1.APIService) *ForeignServiceError {
	owner := ""
	if s := found.Spec.Service; s != nil {
		if s.Namespace == a.cfg.Service.Namespace && s.Name == a.cfg.Service.Name {
			return nil
		}
		owner = s.Namespace + "/" + s.Name
	}
	return &ForeignServiceError{Name: a.cfg.Name, Owner: owner, Ours: a.cfg.Service.String()}
}

// apply writes the bundle, and with takeOver also the way to our Service. The
// uid makes an object deleted meanwhile an error instead of a new object.
func (a *APIService) apply(ctx context.Context, found *apiregistrationv1.APIService, takeOver bool) error {
	spec := map[string]any{"caBundle": a.cfg.Certs.CABundle()}
	if takeOver {
		spec["service"] = map[string]any{
			"namespace": a.cfg.Service.Namespace, "name": a.cfg.Service.Name, "port": a.cfg.Port,
		}
		spec["insecureSkipTLSVerify"] = false
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": apiregistrationv1.SchemeGroupVersion.String(),
		"kind":       "APIService",
		"metadata":   map[string]any{"name": a.cfg.Name, "uid": found.UID},
		"spec":       spec,
	})
	if err != nil {
		return fmt.Errorf("encoding APIService %s: %w", a.cfg.Name, err)
	}
	_, err = a.cfg.Client.Patch(ctx, a.cfg.Name, types.ApplyPatchType, body,
		metav1.PatchOptions{FieldManager: fieldManager, Force: new(true)})
	if err != nil {
		return fmt.Errorf("applying APIService %s: %w", a.cfg.Name, err)
	}
	a.cfg.Log.Info("CA bundle of the APIService written", "object", a.cfg.Name, "taken_over", takeOver)
	return nil
}
