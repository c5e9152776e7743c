package hostnode

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/probe"
	"k8s.io/kubernetes/pkg/probe/grpc"
	"k8s.io/kubernetes/pkg/probe/http"
	"k8s.io/kubernetes/pkg/probe/tcp"
)

// probeReadiness calls set at each change of readiness until ctx ends. Without
// a probe a container is ready as soon as it runs.
func probeReadiness(ctx context.Context, p *v1.Probe, check func(context.Context) error, set func(bool)) {
	if p == nil {
		set(true)
		return
	}
	if !sleep(ctx, time.Duration(p.InitialDelaySeconds)*time.Second) {
		return
	}
	ready := false
	inRow := int32(0) // answers that differ from ready
	for {
		ok := check(ctx) == nil
		needed := p.FailureThreshold
		if ok {
			needed = p.SuccessThreshold
		}
		inRow++
		if ok == ready {
			inRow = 0
		} else if inRow >= needed {
			ready, inRow = ok, 0
			set(ready)
		}
		if !sleep(ctx, time.Duration(max(p.PeriodSeconds, 1))*time.Second) {
			return
		}
	}
}

// check runs the container's readiness probe once, with Kubernetes' own
// probers. A command runs in dir with the variables vars.
func check(ctx context.Context, c *v1.Container, dir string, vars []string) error {
	p := c.ReadinessProbe
	timeout := time.Duration(max(p.TimeoutSeconds, 1)) * time.Second
	var result probe.Result
	var output string
	var err error
	switch {
	case p.Exec != nil:
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, p.Exec.Command[0], p.Exec.Command[1:]...)
		cmd.Dir, cmd.Env = dir, vars
		return cmd.Run()
	case p.HTTPGet != nil:
		result, output, err = checkHTTP(ctx, c, p.HTTPGet, timeout)
	case p.TCPSocket != nil:
		result, output, err = checkTCP(c, p.TCPSocket, timeout)
	case p.GRPC != nil:
		service := ""
		if p.GRPC.Service != nil {
			service = *p.GRPC.Service
		}
		result, output, err = grpc.New().Probe(address, service, int(p.GRPC.Port), timeout, grpc.ProbeOptions{})
	default:
		return errors.New("the probe has no action")
	}
	if err == nil && result != probe.Success {
		err = fmt.Errorf("probe says %s: %s", result, output)
	}
	return err
}

func checkHTTP(ctx context.Context, c *v1.Container, a *v1.HTTPGetAction, timeout time.Duration) (probe.Result, string, error) {
	req, err := http.NewRequestForHTTPGetAction(a, c, address, "probe")
	if err != nil {
		return probe.Unknown, "", err
	}
	return http.New(false).Probe(req.WithContext(ctx), timeout)
}

func checkTCP(c *v1.Container, a *v1.TCPSocketAction, timeout time.Duration) (probe.Result, string, error) {
	port, err := probe.ResolveContainerPort(a.Port, c)
	if err != nil {
		return probe.Unknown, "", err
	}
	host := a.Host
	if host == "" {
		host = address
	}
	return tcp.New().Probe(host, port, timeout)
}
