// Package controlplane runs a Kubernetes control plane inside this process:
// etcd, kube-apiserver, kube-controller-manager and kube-scheduler, from the
// Go modules of their projects.
//
// It is for tests: everything listens on loopback only, on free ports; data
// is not synced to disk; there is no way to stop it but to end the process.
// Authentication, RBAC, admission and API aggregation are those of a real
// cluster. The components' feature gates, metrics and log are global, so a
// process can have one plane.
package controlplane

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// Options say what the plane is like. Dir is required, as are the durations,
// QPS and Burst: the zero value of those is not a working configuration.
type Options struct {
	// Dir holds keys, data and logs. It must exist; an etcd in it is replaced.
	Dir string
	// LogDir holds the components' logs. It must exist.
	LogDir string
	// Users are known besides Admin.
	Users []User
	// HPASyncPeriod is how often the HPA controller looks at each HPA; 15 s in real clusters.
	HPASyncPeriod time.Duration
	// HPADownscaleStabilization is the HPA's default window; 5 min in real clusters.
	HPADownscaleStabilization time.Duration
	// QPS and Burst limit each controller's, and the scheduler's, requests per
	// second; 20 and 30 in real clusters.
	QPS   float32
	Burst int
	// AuditLog is the file in which each write is logged; empty means none.
	AuditLog string
	// APIServerArgs and ControllerManagerArgs are further flags, which win.
	APIServerArgs, ControllerManagerArgs []string
	// Progress is told each stage that was reached, as a format and its values.
	Progress func(format string, args ...any)
}

// Plane is a running control plane.
type Plane struct {
	opts   Options
	users  *directory
	url    string
	ca     []byte // PEM
	failed chan error
}

// Start starts the plane and returns when it can be used: the API server is
// ready and pods may be created in the namespace default. ctx limits the start
// and the plane's life; a cancelled plane is of no use but may still hold its ports.
func Start(ctx context.Context, opts Options) (*Plane, error) {
	users, err := newDirectory(opts.Users)
	if err != nil {
		return nil, err
	}
	if err := logTo(filepath.Join(opts.LogDir, "control-plane.log")); err != nil {
		return nil, err
	}
	// Buffered: a component that stops must never wait for somebody to hear of it.
	p := &Plane{opts: opts, users: users, failed: make(chan error, 8)}
	f, ca, err := writePKI(filepath.Join(opts.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	p.ca = ca
	etcd, err := startEtcd(ctx, opts.Dir, filepath.Join(opts.LogDir, "etcd.log"))
	if err != nil {
		return nil, err
	}
	opts.Progress("etcd answers at %s", etcd)
	if err := p.startAPIServer(ctx, etcd, f); err != nil {
		return nil, err
	}
	opts.Progress("kube-apiserver answers at %s", p.url)
	if err := errors.Join(p.startControllerManager(ctx, f), p.startScheduler(ctx)); err != nil {
		return nil, err
	}
	if err := p.waitServiceAccount(ctx); err != nil {
		return nil, err
	}
	opts.Progress("controllers and scheduler work")
	return p, nil
}

// Failed tells of a component that stopped by itself.
func (p *Plane) Failed() <-chan error { return p.failed }

// run runs a component for the life of the process.
func (p *Plane) run(name string, component func() error) {
	go func() {
		err := component()
		if err == nil {
			err = errors.New("it returned")
		}
		p.failed <- fmt.Errorf("running %s: %w; see %s", name, err, filepath.Join(p.opts.LogDir, "control-plane.log"))
	}()
}

// waitServiceAccount waits for the first visible work of the controllers. Pods
// of a namespace are refused until its service account "default" exists.
func (p *Plane) waitServiceAccount(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(p.RESTConfig(Admin, BedUser))
	if err != nil {
		return fmt.Errorf("connecting to kube-apiserver: %w", err)
	}
	return p.poll(ctx, "service account default/default", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// logTo sends the components' common log to a file; only what ends the process
// goes to stderr as well.
func logTo(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("making the log of the control plane: %w", err)
	}
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	for name, value := range map[string]string{"logtostderr": "false", "alsologtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true"} {
		if err := fs.Set(name, value); err != nil {
			return fmt.Errorf("configuring the log of the control plane: %w", err)
		}
	}
	klog.SetOutput(f)
	return nil
}
