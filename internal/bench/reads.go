package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// readRow is how HPAs' reads are answered in one case.
type readRow struct {
	source  string // such as "0 ms"
	via     string
	clients int
	took    []time.Duration
	span    time.Duration
}

const (
	slowBy = 50 * time.Millisecond
	// readNames is how many metrics the readers choose from.
	readNames = 100
	// reader is a user who may read external metrics.
	readerNamespace, reader = "weir-system", "weir-bench-reader"
)

// readAll reads metrics as the HPA controller does, of a source that answers at
// once and of one that answers late, at weir's port and through the API server.
func (b *bed) readAll(ctx context.Context, r *result, l load) (err error) {
	p, err := startProxy(ctx, b.server.Addr(), slowBy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	slow := load{prefix: "slow", n: min(readNames, l.n), addr: p.addr()}
	if err := b.create(ctx, slow); err != nil {
		return err
	}
	if err := b.fill(ctx, slow); err != nil {
		return err
	}
	config, err := b.readerConfig(ctx)
	if err != nil {
		return err
	}
	direct, err := b.directConfig(ctx, config)
	if err != nil {
		return err
	}
	l.n = min(l.n, readNames)
	for _, way := range []struct {
		name   string
		config *rest.Config
	}{{"weir's port", direct}, {"the API server", config}} {
		for _, source := range []struct {
			name string
			load load
		}{{"0 ms", l}, {"50 ms", slow}} {
			for _, clients := range []int{1, 8, 32} {
				b.log.say("%d: reading by %s, source of %s, %d clients", b.n, way.name, source.name, clients)
				row := readRow{source: source.name, via: way.name, clients: clients}
				if err := b.read(ctx, &row, way.config, source.load); err != nil {
					return fmt.Errorf("reading by %s from a source of %s: %w", way.name, source.name, err)
				}
				r.reads = append(r.reads, row)
			}
		}
	}
	return nil
}

// readerConfig makes a user with the rights of the HPA controller.
func (b *bed) readerConfig(ctx context.Context) (*rest.Config, error) {
	meta := metav1.ObjectMeta{Name: reader, Namespace: readerNamespace}
	_, err := b.cluster.Client().CoreV1().ServiceAccounts(readerNamespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating a service account: %w", err)
	}
	_, err = b.cluster.Client().RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: reader},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "weir-external-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: reader, Namespace: readerNamespace}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("binding the role: %w", err)
	}
	return b.cluster.ServiceAccountConfig(ctx, readerNamespace, reader)
}

// directConfig leads past the API server to weir's port, which is in its Service.
func (b *bed) directConfig(ctx context.Context, by *rest.Config) (*rest.Config, error) {
	s, err := b.cluster.Client().CoreV1().Services("weir-system").Get(ctx, "weir-metrics-apiserver", metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("finding weir's port: %w", err)
	}
	return &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", s.Spec.Ports[0].Port), BearerToken: by.BearerToken,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}, // our own process on loopback
	}, nil
}

// read lets clients read random metrics one after the other, all over one
// connection, as the HPA controller's workers do.
func (b *bed) read(ctx context.Context, row *readRow, config *rest.Config, l load) error {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	client.Timeout = 30 * time.Second
	defer client.CloseIdleConnections()
	// Each is known and measured: else what is read is the start, not the state.
	err = b.await(ctx, "all metrics to have a value", time.Minute, func(ctx context.Context) error {
		for i := range l.n {
			if err := readOne(ctx, client, config.Host+l.metricPath(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	took, errs := make([][]time.Duration, row.clients), make([]error, row.clients)
	began := time.Now()
	var all sync.WaitGroup
	for c := range row.clients {
		all.Go(func() {
			for time.Since(began) < b.opts.readFor && errs[c] == nil {
				sent := time.Now()
				errs[c] = readOne(ctx, client, config.Host+l.metricPath(rand.IntN(l.n))) //nolint:gosec // no secret
				took[c] = append(took[c], time.Since(sent))
			}
		})
	}
	all.Wait()
	row.span = time.Since(began)
	for _, t := range took {
		row.took = append(row.took, t...)
	}
	return errors.Join(errs...)
}

func readOne(ctx context.Context, client *http.Client, address string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of %s: %s", resp.Status, (&url.URL{Path: req.URL.Path}).String(), body)
	}
	return err
}
