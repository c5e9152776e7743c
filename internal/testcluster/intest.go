package testcluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// pollInterval is how often WaitFor looks.
	pollInterval = 50 * time.Millisecond
	// tokenLife is longer than any test run.
	tokenLife = 24 * time.Hour
)

// T is what the package needs of a *testing.T; programs that are no tests use
// this package, too.
type T interface { //nolint:interfacebloat // a subset of testing.TB, which cannot be implemented outside of package testing
	Helper()
	Name() string
	Context() context.Context
	Cleanup(func())
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// NewNamespace makes a namespace for a test, in which pods can be created at
// once, and deletes it at the test's end. It returns its name.
func (c *Cluster) NewNamespace(t T) string {
	t.Helper()
	ns, err := c.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: namespacePrefix(t.Name())},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating a namespace: %v", err)
	}
	t.Cleanup(func() {
		// t's context has ended by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stopTimeout)
		defer cancel()
		err := c.client.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("deleting namespace %s: %v", ns.Name, err)
		}
	})
	c.WaitFor(t, 30*time.Second, "service account "+ns.Name+"/default", func() error {
		_, err := c.client.CoreV1().ServiceAccounts(ns.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	return ns.Name
}

// namespacePrefix makes the beginning of a namespace's name of a test's.
func namespacePrefix(test string) string {
	const most = 40
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(test))
	return strings.Trim(name[:min(len(name), most)], "-") + "-"
}

// WaitFor polls the condition until it returns nil. It fails the test with
// the last answer when the time is up, and at once when the cluster ends.
func (c *Cluster) WaitFor(t T, timeout time.Duration, what string, cond func() error) {
	t.Helper()
	if err := c.poll(t.Context(), timeout, cond); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

func (c *Cluster) poll(ctx context.Context, timeout time.Duration, cond func() error) error {
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return fmt.Errorf("not within %s: %w", timeout, err)
		case <-c.ended:
			return errors.Join(c.failure(), err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// ServiceAccountConfig returns the client configuration of a service account
// that exists, with a token for a day and no rate limits.
func (c *Cluster) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	token, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLife / time.Second))},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("requesting a token for service account %s/%s: %w", namespace, name, err)
	}
	config := rest.AnonymousClientConfig(c.config)
	config.BearerToken = token.Status.Token
	config.QPS = -1
	return config, nil
}

// WriteKubeconfig writes the client configuration to a file, for a program
// that is started with it.
func WriteKubeconfig(path string, config *rest.Config) error {
	const name = "weir-testcluster"
	k := clientcmdapi.NewConfig()
	k.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	k.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: config.BearerToken}
	k.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	k.CurrentContext = name
	if err := clientcmd.WriteToFile(*k, path); err != nil {
		return fmt.Errorf("writing kubeconfig %s: %w", path, err)
	}
	return nil
}
