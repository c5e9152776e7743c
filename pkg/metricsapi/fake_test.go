package metricsapi_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/weir-sh/weir/pkg/metricsapi"
)

// instant is when the fake readings were taken.
func instant() time.Time {
	return time.Date(2026, 11, 23, 13, 14, 15, 987654321, time.FixedZone("", 3600))
}

// readings knows one object, shop/orders.
type readings struct{}

func (readings) ExternalMetric(_ context.Context, namespace, object, metric string) (metricsapi.Metric, error) {
	if namespace != "shop" || object != "orders" {
		return metricsapi.Metric{}, &metricsapi.NotFoundError{What: `ScaledObject "` + namespace + "/" + object + `"`}
	}
	switch metric {
	case "s0-rabbitmq-orders":
		return metricsapi.Metric{Value: 12.5, At: instant()}, nil
	case "s1-broken":
		return metricsapi.Metric{}, errors.New("listing queues: connection refused (last reading 3m0s ago)")
	case "s2-nan":
		return metricsapi.Metric{Value: math.NaN(), At: instant()}, nil
	}
	return metricsapi.Metric{}, &metricsapi.NotFoundError{What: `metric "` + metric + `" of ScaledObject "shop/orders"`}
}

// authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(tb testing.TB, name string) *authority {
	tb.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	der, a.key = sign(tb, template, template, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		tb.Fatal(err)
	}
	return a
}

// sign makes a key and a certificate for it; a nil parent key means self-signed.
func sign(tb testing.TB, template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		tb.Fatal(err)
	}
	return der, key
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// certify returns a certificate and key for name, good on both sides of TLS.
func (a *authority) certify(tb testing.TB, name string) (cert, key []byte) {
	tb.Helper()
	der, private := sign(tb, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// certificate is a serving certificate the test replaces at will.
type certificate struct {
	mu        sync.Mutex // guards all below
	cert, key []byte
	listeners []func()
}

func (c *certificate) CertKeyPEM() (cert, key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cert, c.key
}

func (c *certificate) OnChange(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, f)
}

func (c *certificate) replace(cert, key []byte) {
	c.mu.Lock()
	c.cert, c.key = cert, key
	listeners := c.listeners
	c.mu.Unlock()
	for _, f := range listeners {
		f()
	}
}

// cluster is as much of an API server as judging callers needs.
//
// The token "hpa" may read all external metrics, "one" only s0-rabbitmq-orders
// in shop, "none" nothing; other tokens are unknown.
type cluster struct {
	aggregator *authority
	client     kubernetes.Interface

	mu      sync.Mutex // guards reviews
	reviews []authorizationv1.ResourceAttributes
}

func newCluster(tb testing.TB) *cluster {
	tb.Helper()
	c := &cluster{aggregator: newAuthority(tb, "aggregator")}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", c.tokenReview)
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", c.accessReview)
	mux.HandleFunc("GET /api/v1/namespaces/kube-system/configmaps", c.configMaps)
	mux.HandleFunc("GET /api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, c.configMap())
	})
	server := httptest.NewServer(mux)
	tb.Cleanup(server.Close)
	var err error
	// JSON, since the fake does not speak protobuf.
	if c.client, err = kubernetes.NewForConfig(&rest.Config{
		Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"},
	}); err != nil {
		tb.Fatal(err)
	}
	return c
}

func reply(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(object); err != nil {
		panic(err) // nothing here fails to encode; a lost client ends the request
	}
}

func (c *cluster) tokenReview(w http.ResponseWriter, r *http.Request) {
	var review authenticationv1.TokenReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch review.Spec.Token {
	case "hpa", "one", "none":
		review.Status = authenticationv1.TokenReviewStatus{
			Authenticated: true, User: authenticationv1.UserInfo{Username: review.Spec.Token},
		}
	}
	reply(w, review)
}

func (c *cluster) accessReview(w http.ResponseWriter, r *http.Request) {
	var review authorizationv1.SubjectAccessReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if a := review.Spec.ResourceAttributes; a != nil {
		c.mu.Lock()
		c.reviews = append(c.reviews, *a)
		c.mu.Unlock()
		review.Status.Allowed = a.Group == "external.metrics.k8s.io" && a.Verb == "list" && (review.Spec.User == "hpa" ||
			review.Spec.User == "one" && a.Namespace == "shop" && a.Resource == "s0-rabbitmq-orders")
	} else {
		review.Status.Allowed = review.Spec.User == "hpa" // discovery
	}
	reply(w, review)
}

func (c *cluster) configMap() corev1.ConfigMap {
	return corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "extension-apiserver-authentication", Namespace: "kube-system", ResourceVersion: "1"},
		Data: map[string]string{
			"requestheader-client-ca-file":       string(c.aggregator.pem()),
			"requestheader-username-headers":     `["X-Remote-User"]`,
			"requestheader-group-headers":        `["X-Remote-Group"]`,
			"requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
			"requestheader-allowed-names":        `["front-proxy"]`,
		},
	}
}

// configMaps lists, or refuses the streaming list and watches nothing.
func (c *cluster) configMaps(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch {
	case query.Get("sendInitialEvents") != "":
		w.WriteHeader(http.StatusUnprocessableEntity)
		reply(w, metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure, Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity,
		})
	case query.Get("watch") != "":
		w.Header().Set("Content-Type", "application/json")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		reply(w, corev1.ConfigMapList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"},
			ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.ConfigMap{c.configMap()},
		})
	}
}

// taken returns and forgets the access reviews.
func (c *cluster) taken() []authorizationv1.ResourceAttributes {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.reviews
	c.reviews = nil
	return out
}

// client returns an HTTP client that trusts ca and shows cert, if any.
func client(tb testing.TB, ca []byte, cert ...tls.Certificate) *http.Client {
	tb.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: "weir", Certificates: cert, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// get returns the status code and body of a GET with the headers given as pairs.
func get(tb testing.TB, c *http.Client, url string, headers ...string) (int, string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := resp.Body.Close(); err != nil {
			tb.Error(err)
		}
	}()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, string(bytes.TrimSpace(body))
}
