package hostnode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestReadinessChangesAtItsThresholds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		probe   *v1.Probe
		answers string // y or n, one each period; the last repeats
		want    string
	}{
		{"without a probe at once", nil, "n", "0s true"},
		{"at the first success", &v1.Probe{PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}, "ny", "10s true"},
		{"after the initial delay", &v1.Probe{InitialDelaySeconds: 5, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}, "y", "5s true"},
		{"a lost answer is forgiven", &v1.Probe{PeriodSeconds: 1, SuccessThreshold: 1, FailureThreshold: 2}, "ynynyy", "0s true"},
		{"after enough failures in a row", &v1.Probe{PeriodSeconds: 1, SuccessThreshold: 1, FailureThreshold: 2}, "ynnn", "0s true, 2s false"},
		{"after enough successes in a row", &v1.Probe{PeriodSeconds: 1, SuccessThreshold: 2, FailureThreshold: 1}, "ynyyn", "3s true, 4s false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				n := 0
				ask := func(context.Context) error {
					answer := test.answers[min(n, len(test.answers)-1)]
					n++
					if answer == 'n' {
						return errors.New("not yet")
					}
					return nil
				}
				var changes []string
				probeReadiness(ctx, test.probe, ask, func(ready bool) {
					changes = append(changes, fmt.Sprintf("%s %t", time.Since(began), ready))
				})
				if got := strings.Join(changes, ", "); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestAProbeAsksTheProcess(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthy" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	_, text, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	ports := []v1.ContainerPort{{Name: "web", ContainerPort: int32(port)}}
	web := intstr.FromString("web")
	script := func(s string) v1.ProbeHandler {
		return v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"/bin/sh", "-c", s}}}
	}
	get := func(path string) v1.ProbeHandler {
		return v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{Path: path, Port: web, Scheme: v1.URISchemeHTTP}}
	}
	for _, test := range []struct {
		name    string
		handler v1.ProbeHandler
		wantErr string
	}{
		{"a command that succeeds with the container's variables", script(`[ "$A" = b ]`), ""},
		{"a command that fails", script("exit 3"), "exit status 3"},
		{"a good page", get("/healthy"), ""},
		{"a bad page", get("/sick"), "probe says failure: HTTP probe failed with statuscode: 503"},
		{"an open port", v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: web}}, ""},
		{"a port without a name", v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: intstr.FromString("db")}}, `port "db" not found`},
		{"no action", v1.ProbeHandler{}, "the probe has no action"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := &v1.Container{Ports: ports, ReadinessProbe: &v1.Probe{ProbeHandler: test.handler, TimeoutSeconds: 5}}
			if got := errorText(check(t.Context(), c, "", []string{"A=b"})); got != test.wantErr {
				t.Errorf("got %q, want %q", got, test.wantErr)
			}
		})
	}
}
