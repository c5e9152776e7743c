package metricsapi

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"
	openapicore "sigs.k8s.io/custom-metrics-apiserver/pkg/generated/openapi/core"
	openapiexternal "sigs.k8s.io/custom-metrics-apiserver/pkg/generated/openapi/externalmetrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// requestTimeout bounds a request, and with it the stop of the server. Reads
// take a quarter of a second at most; the rest is for a first question about
// the caller.
const requestTimeout = 5 * time.Second

// build makes the server. It needs no etcd, no informers of workloads, no
// priority and fairness, and shows neither profiles nor metrics: the program
// has its own port for those.
func (s *Server) build(ln net.Listener) (*genericapiserver.GenericAPIServer, error) {
	cfg := genericapiserver.NewConfig(apiserver.Codecs)
	cfg.EnableIndex, cfg.EnableProfiling, cfg.EnableMetrics = false, false, false
	cfg.RequestTimeout = requestTimeout
	cfg.OpenAPIConfig, cfg.OpenAPIV3Config = openAPI()
	// Post-start hooks could call back through this; none here does, so it has no credentials.
	cfg.LoopbackClientConfig = &rest.Config{}
	cfg.SecureServing = &genericapiserver.SecureServingInfo{Listener: ln, Cert: servingCert{s.cfg.Certificate}, MinTLSVersion: max(s.cfg.MinTLS, tls.VersionTLS12), CipherSuites: s.cfg.CipherSuites}
	front, err := newFrontProxy(s.cfg.Kube)
	if err != nil {
		return nil, err
	}
	// Not the library's own checks: one of them watches klog's files, with a goroutine that never ends.
	alive := []healthz.HealthChecker{healthz.PingHealthz}
	cfg.HealthzChecks, cfg.LivezChecks = alive, alive
	cfg.ReadyzChecks = []healthz.HealthChecker{healthz.PingHealthz, healthz.NamedCheck("aggregator", front.known)}
	if s.cfg.Ready != nil {
		cfg.ReadyzChecks = append(cfg.ReadyzChecks, healthz.NamedCheck("readings", func(*http.Request) error { return s.cfg.Ready() }))
	}
	if cfg.Authentication, err = authenticate(s.cfg.Kube, front, cfg.SecureServing); err != nil {
		return nil, err
	}
	if cfg.Authorization.Authorizer, err = authorize(s.cfg.Kube); err != nil {
		return nil, err
	}
	p := readingsProvider{s.cfg.Readings}
	server, err := (&apiserver.Config{GenericConfig: cfg}).Complete(nil).New("weir-external-metrics", nil, p)
	if err != nil {
		return nil, err
	}
	if err := discoverable(server.GenericAPIServer, p); err != nil {
		return nil, err
	}
	return server.GenericAPIServer, nil
}

// discoverable adds the API to the aggregated form of discovery, which the
// adapter library leaves empty. The API server prefers that form and would
// report the group as stale.
func discoverable(server *genericapiserver.GenericAPIServer, p provider.ExternalMetricsProvider) error {
	resources, err := endpoints.ConvertGroupVersionIntoToDiscovery(provider.NewExternalMetricResourceLister(p).ListAPIResources())
	if err != nil {
		return fmt.Errorf("describing the API for discovery: %w", err)
	}
	gv := v1beta1.SchemeGroupVersion
	server.AggregatedDiscoveryGroupManager.AddGroupVersion(gv.Group, apidiscoveryv2.APIVersionDiscovery{
		Version:   gv.Version,
		Resources: resources,
		Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
	})
	server.AggregatedDiscoveryGroupManager.SetGroupVersionPriority(metav1.GroupVersion(gv), 100, 100)
	return nil
}

// openAPI returns the descriptions the API server merges into its own.
func openAPI() (*openapicommon.Config, *openapicommon.OpenAPIV3Config) {
	definitions := func(ref openapicommon.ReferenceCallback) map[string]openapicommon.OpenAPIDefinition {
		// Of the many others only the answer of /version is described; they are
		// kept in memory as long as the server runs.
		all, info := openapiexternal.GetOpenAPIDefinitions(ref), version.Info{}.OpenAPIModelName()
		all[info] = openapicore.GetOpenAPIDefinitions(ref)[info]
		return all
	}
	namer := openapinamer.NewDefinitionNamer(apiserver.Scheme)
	v2 := genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	v3 := genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	v2.Info.Title, v3.Info.Title = "weir", "weir"
	return v2, v3
}

// servingCert shows the certificate to the serving code, which takes a change
// over for new connections and keeps the old ones.
type servingCert struct{ Certificate }

// Name appears in log lines.
func (servingCert) Name() string { return "serving-certificate" }

// CurrentCertKeyContent returns the chain and its key as PEM.
func (c servingCert) CurrentCertKeyContent() (cert, key []byte) { return c.CertKeyPEM() }

// AddListener has l told of changes.
func (c servingCert) AddListener(l dynamiccertificates.Listener) { c.OnChange(l.Enqueue) }
