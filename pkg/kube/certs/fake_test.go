package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/pkg/kube/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const namespace = "weir-system"

// store is the one Secret of a namespace, with the API server's optimistic
// locking, which the fake clientset lacks.
type store struct {
	mu      sync.Mutex // guards all below
	secret  *corev1.Secret
	version int
	writes  int
	refused int             // writes that came too late
	fail    error           // of every call
	onGet   func(reads int) // called without the lock after each read
	reads   int
}

func (s *store) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.Secret, error) {
	secret, hook, reads, err := s.get(name)
	if hook != nil {
		hook(reads)
	}
	return secret, err
}

func (s *store) get(name string) (*corev1.Secret, func(int), int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.fail != nil {
		return nil, s.onGet, s.reads, s.fail
	}
	if s.secret == nil || s.secret.Name != name {
		return nil, s.onGet, s.reads, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	return s.secret.DeepCopy(), s.onGet, s.reads, nil
}

func (s *store) Create(_ context.Context, secret *corev1.Secret, _ metav1.CreateOptions) (*corev1.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret != nil {
		s.refused++
		return nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "secrets"}, secret.Name)
	}
	return s.put(secret)
}

func (s *store) Update(_ context.Context, secret *corev1.Secret, _ metav1.UpdateOptions) (*corev1.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret == nil || s.secret.ResourceVersion != secret.ResourceVersion {
		s.refused++
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, secret.Name, fmt.Errorf("it was changed"))
	}
	return s.put(secret)
}

// put is called with the lock held.
func (s *store) put(secret *corev1.Secret) (*corev1.Secret, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	s.version++
	s.writes++
	s.secret = secret.DeepCopy()
	s.secret.ResourceVersion = strconv.Itoa(s.version)
	return s.secret.DeepCopy(), nil
}

// change edits the Secret as a user with kubectl does.
func (s *store) change(f func(*corev1.Secret)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.secret)
	s.version++
	s.secret.ResourceVersion = strconv.Itoa(s.version)
}

func (s *store) setFail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// remove deletes the Secret as a user with kubectl does.
func (s *store) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = nil
}

func (s *store) tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

func (s *store) data(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.secret.Data[key])
}

func (s *store) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// lines keeps log lines without their times.
type lines struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take returns and forgets what was logged.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

func logTo(l *lines) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// selfSigned returns a replica on the store, for the names of a Service.
func selfSigned(t *testing.T, secrets certs.Secrets, edit ...func(*certs.SelfSignedConfig)) *certs.SelfSigned {
	t.Helper()
	cfg := certs.SelfSignedConfig{
		Secrets: secrets, Namespace: namespace, Log: slog.New(slog.DiscardHandler),
		Names: append(certs.ServiceNames("weir", namespace, ""), "localhost", "127.0.0.1"),
	}
	for _, f := range edit {
		f(&cfg)
	}
	s, err := certs.NewSelfSigned(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs run until the test is over.
func start(t *testing.T, run func(context.Context) error) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := run(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(wg.Wait) // by then the context has ended
}

func load(t *testing.T, s certs.Source) {
	t.Helper()
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// leaf returns the certificate that s serves.
func leaf(t *testing.T, s certs.Source) *x509.Certificate {
	t.Helper()
	cert, key := s.CertKeyPEM()
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// verify fails unless a client with the bundle accepts what s serves now.
func verify(t *testing.T, s certs.Source, bundle []byte) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		t.Fatalf("%s: the bundle has no certificate", time.Now().UTC().Format(time.DateOnly))
	}
	if _, err := leaf(t, s).Verify(x509.VerifyOptions{Roots: roots, DNSName: "weir.weir-system.svc", CurrentTime: time.Now()}); err != nil {
		t.Fatalf("%s: %v", time.Now().UTC().Format(time.DateOnly), err)
	}
}

// authorities returns the certificates of a bundle.
func authorities(t *testing.T, bundle []byte) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, cert)
	}
	return out
}
