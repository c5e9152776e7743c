package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	cliflag "k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const (
	serviceCIDR = "10.0.0.0/16"
	serviceIP   = "10.0.0.1" // of Service default/kubernetes, which nothing answers
)

// auditPolicy logs each write once, when it has been answered: who, with which
// client, what, on which object. Reads would drown them.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// startAPIServer starts kube-apiserver on a free loopback port, which it
// keeps open from the choice on so that nobody else can take it.
func (p *Plane) startAPIServer(ctx context.Context, etcd string, f files) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("choosing a port for kube-apiserver: %w", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return fmt.Errorf("choosing a port for kube-apiserver: %w", err)
	}
	p.url = "https://127.0.0.1:" + port
	args, err := p.apiServerArgs(etcd, port, f)
	if err != nil {
		return err
	}
	s := options.NewServerRunOptions()
	if err := parse(s.Flags(), args); err != nil {
		return fmt.Errorf("configuring kube-apiserver: %w", err)
	}
	s.SecureServing.Listener = listener
	if err := s.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return fmt.Errorf("configuring kube-apiserver: %w", err)
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return fmt.Errorf("configuring kube-apiserver: %w", err)
	}
	if err := errors.Join(completed.Validate()...); err != nil {
		return fmt.Errorf("configuring kube-apiserver: %w", err)
	}
	p.run("kube-apiserver", func() error { return apiserver.Run(ctx, completed) })
	return p.waitAPIServer(ctx)
}

func (p *Plane) apiServerArgs(etcd, port string, f files) ([]string, error) {
	tokens := filepath.Join(p.opts.Dir, "tokens.csv")
	if err := p.users.writeTokens(tokens); err != nil {
		return nil, err
	}
	args := []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + port,
		"--tls-cert-file=" + f.servingCert,
		"--tls-private-key-file=" + f.servingKey,
		"--client-ca-file=" + f.clusterCA,
		"--token-auth-file=" + tokens,
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=" + serviceCIDR,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + f.serviceAccountKey,
		"--service-account-signing-key-file=" + f.serviceAccountKey,
		"--requestheader-client-ca-file=" + f.frontProxyCA,
		"--requestheader-allowed-names=" + frontProxyName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + f.frontProxyCert,
		"--proxy-client-key-file=" + f.frontProxyKey,
		// EndpointSlices may not name a loopback address.
		"--endpoint-reconciler-type=none",
	}
	if p.opts.AuditLog != "" {
		policy := filepath.Join(p.opts.Dir, "audit-policy.yaml")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return nil, fmt.Errorf("writing the audit policy: %w", err)
		}
		args = append(args, "--audit-policy-file="+policy, "--audit-log-path="+p.opts.AuditLog)
	}
	return append(args, p.opts.APIServerArgs...), nil
}

// waitAPIServer polls /readyz: there is nothing to wait on before a server answers.
func (p *Plane) waitAPIServer(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(p.RESTConfig(Admin, BedUser))
	if err != nil {
		return fmt.Errorf("connecting to kube-apiserver: %w", err)
	}
	return p.poll(ctx, "kube-apiserver", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// poll calls done every 25 ms until it returns nil, a component stops, or ctx ends.
func (p *Plane) poll(ctx context.Context, what string, done func(context.Context) error) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done(ctx)
		if err == nil {
			return nil
		}
		select {
		case stopped := <-p.failed:
			return stopped
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last answer: %w)", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// parse sets a component's flags as its command line would.
func parse(sets cliflag.NamedFlagSets, args []string) error {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		all.AddFlagSet(set)
	}
	return all.Parse(args)
}

func formatFloat(f float32) string { return strconv.FormatFloat(float64(f), 'g', -1, 32) }
