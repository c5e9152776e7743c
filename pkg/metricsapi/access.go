package metricsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	apiserverconfig "k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/path"
	"k8s.io/apiserver/pkg/authorization/union"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/metrics/pkg/apis/external_metrics"
)

// authConfigMap is where the API server publishes, in kube-system, how its
// aggregator shows itself.
const authConfigMap = "extension-apiserver-authentication"

// How long answers about callers are remembered: a revoked right ends within
// this time. The same as other extension API servers have it.
const reviewTTL = 10 * time.Second

// reviewTimeout bounds one question about a caller.
const reviewTimeout = 3 * time.Second

// healthPaths are open to everybody: kubelets show no identity.
func healthPaths() []string { return []string{"/healthz", "/livez", "/readyz"} }

// reviewBackoff spaces the tries of one question; together they stay within
// the time of a request.
func reviewBackoff() *wait.Backoff {
	return &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 4}
}

// authenticate lets callers in as the aggregator's front proxy (certificate
// authority and header names from the cluster, followed as they change) or by
// bearer token (asked of the API server), and as nobody on the health paths.
// A cluster without aggregator configuration is not an error here: requests
// are refused, and the server is not ready, until the configuration appears.
func authenticate(
	kube kubernetes.Interface, front frontProxy, serving *genericapiserver.SecureServingInfo,
) (genericapiserver.AuthenticationInfo, error) {
	var info genericapiserver.AuthenticationInfo
	anonymous := &apiserverconfig.AnonymousAuthConfig{Enabled: true}
	for _, p := range healthPaths() {
		anonymous.Conditions = append(anonymous.Conditions, apiserverconfig.AnonymousAuthCondition{Path: p})
	}
	info.RequestHeaderConfig = &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider:   front,
		UsernameHeaders:     headerrequest.StringSliceProviderFunc(front.headers.UsernameHeaders),
		UIDHeaders:          headerrequest.StringSliceProviderFunc(front.headers.UIDHeaders),
		GroupHeaders:        headerrequest.StringSliceProviderFunc(front.headers.GroupHeaders),
		ExtraHeaderPrefixes: headerrequest.StringSliceProviderFunc(front.headers.ExtraHeaderPrefixes),
		AllowedClientNames:  headerrequest.StringSliceProviderFunc(front.headers.AllowedClientNames),
	}
	if err := info.ApplyClientCert(front, serving); err != nil {
		return info, fmt.Errorf("asking for the aggregator's client certificate: %w", err)
	}
	var err error
	info.Authenticator, _, err = authenticatorfactory.DelegatingAuthenticatorConfig{
		Anonymous:                anonymous,
		TokenAccessReviewClient:  kube.AuthenticationV1(),
		TokenAccessReviewTimeout: reviewTimeout,
		WebhookRetryBackoff:      reviewBackoff(),
		CacheTTL:                 reviewTTL,
		RequestHeaderConfig:      info.RequestHeaderConfig,
	}.New()
	if err != nil {
		return info, fmt.Errorf("setting up authentication: %w", err)
	}
	return info, nil
}

// frontProxy follows what the cluster says about its aggregator. The serving
// code runs it, since it is the provider of the client certificate authority.
type frontProxy struct {
	*dynamiccertificates.ConfigMapCAController
	headers *headerrequest.RequestHeaderAuthRequestController
}

func newFrontProxy(kube kubernetes.Interface) (frontProxy, error) {
	ca, err := dynamiccertificates.NewDynamicCAFromConfigMapController("aggregator",
		metav1.NamespaceSystem, authConfigMap, "requestheader-client-ca-file", kube)
	if err != nil {
		return frontProxy{}, fmt.Errorf("setting up the aggregator's certificate authority: %w", err)
	}
	return frontProxy{ca, headerrequest.NewRequestHeaderAuthRequestController(authConfigMap, metav1.NamespaceSystem, kube,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers",
		"requestheader-extra-headers-prefix", "requestheader-allowed-names")}, nil
}

// known tells whether the aggregator can be recognised yet; it is a readiness check.
func (f frontProxy) known(*http.Request) error {
	if len(f.CurrentCABundleContent()) == 0 || len(f.headers.UsernameHeaders()) == 0 {
		return errors.New("the configuration of the aggregator has not been read from ConfigMap " +
			metav1.NamespaceSystem + "/" + authConfigMap)
	}
	return nil
}

// RunOnce loads the configuration for the first time.
func (f frontProxy) RunOnce(ctx context.Context) error {
	return errors.Join(f.ConfigMapCAController.RunOnce(ctx), f.headers.RunOnce(ctx))
}

// Run follows the configuration until ctx ends.
func (f frontProxy) Run(ctx context.Context, workers int) {
	var wg sync.WaitGroup
	wg.Go(func() { f.ConfigMapCAController.Run(ctx, workers) })
	wg.Go(func() { f.headers.Run(ctx, workers) })
	wg.Wait()
}

// authorize asks the API server about everything but the health paths.
func authorize(kube kubernetes.Interface) (authorizer.Authorizer, error) {
	open, err := path.NewAuthorizer(healthPaths())
	if err != nil {
		return nil, fmt.Errorf("opening the health paths: %w", err)
	}
	review, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: kube.AuthorizationV1(),
		AllowCacheTTL:             reviewTTL,
		DenyCacheTTL:              reviewTTL,
		WebhookRetryBackoff:       reviewBackoff(),
	}.New()
	if err != nil {
		return nil, fmt.Errorf("setting up authorisation: %w", err)
	}
	return union.New(
		union.NamedAuthorizer{AuthorizerName: "masters", Authorizer: authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup)},
		union.NamedAuthorizer{AuthorizerName: "health", Authorizer: open},
		union.NamedAuthorizer{AuthorizerName: "review", Authorizer: wholeAPIFirst(review)},
	)
}

// wholeAPIFirst asks whether the caller may read all external metrics of the
// cluster before it asks about a single one. To the API server each metric is
// a resource of its own, so the answers about single metrics are many and
// soon forgotten: N autoscalers would cost N reviews per sync. The controller
// of the autoscalers may read all of them, which is one review per ten seconds.
func wholeAPIFirst(next authorizer.Authorizer) authorizer.Authorizer {
	return authorizer.AuthorizerFunc(func(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.IsResourceRequest() && a.GetAPIGroup() == external_metrics.GroupName && a.IsReadOnly() {
			decision, reason, err := next.Authorize(ctx, authorizer.AttributesRecord{
				User: a.GetUser(), Verb: a.GetVerb(), ResourceRequest: true,
				APIGroup: a.GetAPIGroup(), APIVersion: a.GetAPIVersion(), Resource: "*",
			})
			if err == nil && decision == authorizer.DecisionAllow {
				return decision, reason, nil
			}
		}
		return next.Authorize(ctx, a)
	})
}
