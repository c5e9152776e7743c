//go:build e2e

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// soakFor is how long nothing may change: "go test ... -soak=5m".
var soakFor = flag.Duration("soak", time.Minute, "how long the objects of TestConditionsDoNotFlap are watched at rest")

// soakObject scales on the list of its own name.
const soakObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: {{.Polling}}
  cooldownPeriod: 3600
  triggers:
  - type: redis
    metadata: {address: "{{.Address}}", listName: {{.Name}}, listLength: "5"}
    {{.Auth}}
  {{.Fallback}}`

const wrongPassword = `
apiVersion: v1
kind: Secret
metadata: {name: wrong}
stringData: {password: wrong}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: wrong}
spec:
  secretTargetRef: [{parameter: password, name: wrong, key: password}]`

// subject is one object of the soak.
type subject struct {
	name     string
	replicas int    // of its Deployment, at first
	items    int    // on its list
	fault    string // why it cannot be measured; empty when it can
	fallback bool   // there is one, to one replica
}

// final is what its conditions must come to.
func (s subject) final() map[v1alpha1.ConditionType]string {
	const ready, active, hpa = v1alpha1.ConditionReady, v1alpha1.ConditionActive, v1alpha1.ConditionHPAActive
	out := map[v1alpha1.ConditionType]string{ready: "True/ScaledObjectReady", active: "False/ScalerNotActive", hpa: "True/ScalingDisabled"}
	out[v1alpha1.ConditionFallback] = "False/NoFallbackFound"
	switch {
	case s.fallback:
		out[v1alpha1.ConditionFallback] = "True/FallbackExists"
		out[active], out[hpa] = "True/ScalerActive", "True/HPAActive"
	case s.items > 0:
		out[active], out[hpa] = "True/ScalerActive", "True/HPAActive"
	case s.fault != "":
		out[ready] = "False/TriggerError"
		if s.replicas > 0 {
			out[hpa] = "False/FailedGetExternalMetric"
		}
	}
	return out
}

// subjects are 200 objects: every fifth has a fault, of four kinds, with replicas
// or without and with a fallback or without, and every tenth has work.
func subjects() []subject {
	faults := []string{"no-server", "silent", "password", "wrong-type"}
	var out []subject
	for i := range 200 {
		s := subject{name: fmt.Sprintf("rests-%d", i)}
		switch {
		case i%5 == 0:
			s.fault, s.replicas, s.fallback = faults[i/5%4], i/20%2, i/40%2 == 1
			s.name = fmt.Sprintf("%s-%d", s.fault, i)
		case i%10 == 1:
			s.name, s.items = fmt.Sprintf("works-%d", i), 4
		}
		out = append(out, s)
	}
	return out
}

// applySubjects makes the objects, and what they are to find.
func applySubjects(t *testing.T, namespace string, all []subject, open, locked *redis.Server) {
	t.Helper()
	addresses := map[string]string{"no-server": "127.0.0.1:1", "silent": silent(t), "password": locked.Addr()}
	manifest := []string{strings.TrimSpace(wrongPassword)}
	for i, s := range all {
		v := values{"Name": s.name, "Replicas": s.replicas, "Polling": 1 + i%2, "Address": open.Addr(), "Auth": "", "Fallback": ""}
		if a := addresses[s.fault]; a != "" {
			v["Address"] = a
		}
		if s.fault == "password" {
			v["Auth"] = "authenticationRef: {name: wrong}"
		}
		if s.fallback {
			v["Fallback"] = "fallback: {failureThreshold: 2, replicas: 1}"
		}
		if s.fault == "wrong-type" {
			cli(t, open, "SET", s.name, "no list")
		}
		if s.items > 0 {
			fill(t, open, s.name, s.items)
		}
		manifest = append(manifest, render(t, idle, v), render(t, soakObject, v))
	}
	apply(t, namespace, strings.Join(manifest, "\n---\n"), nil)
}

// silent returns the address of a server that accepts connections and never
// answers.
func silent(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			wg.Go(func() {
				// It reads until the client gives up, and says nothing.
				_, err := io.Copy(io.Discard, conn)
				if err := errors.Join(err, conn.Close()); err != nil {
					t.Logf("a client of the silent server: %v", err)
				}
			})
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// chronicle is what happened in a namespace, as the watches of the API server
// tell it.
type chronicle struct {
	t *testing.T

	mu     sync.Mutex // guards the rest
	last   time.Time  // of the newest entry
	news   []string   // since they were last taken
	seen   map[string]bool
	states map[string]map[v1alpha1.ConditionType]string // newest conditions, by object
}

// newChronicle begins to watch the namespace, until the test ends.
func newChronicle(t *testing.T, namespace string) *chronicle {
	t.Helper()
	c := &chronicle{t: t, last: time.Now(), seen: map[string]bool{}, states: map[string]map[v1alpha1.ConditionType]string{}}
	list, err := objects.Resource(scaledObjects()).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	since := metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}
	ctx := context.WithoutCancel(t.Context()) // a watch that ends must be one that was stopped
	written, err := objects.Resource(scaledObjects()).Namespace(namespace).Watch(ctx, since)
	if err != nil {
		t.Fatal(err)
	}
	emitted, err := cluster.Client().EventsV1().Events(namespace).Watch(ctx, since)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, w := range []watch.Interface{written, emitted} {
		wg.Go(func() {
			for e := range w.ResultChan() {
				if t.Context().Err() == nil { // else it is being stopped, which it complains of
					c.record(e)
				}
			}
			if t.Context().Err() == nil {
				t.Error("a watch has ended")
			}
		})
	}
	t.Cleanup(func() {
		written.Stop()
		emitted.Stop()
		wg.Wait()
	})
	return c
}

func (c *chronicle) record(e watch.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch o := e.Object.(type) {
	case *unstructured.Unstructured:
		c.wrote(o)
	case *eventsv1.Event:
		if o.ReportingController == "weir" {
			c.told(o)
		}
	default:
		c.t.Errorf("a watch says %v", e.Object)
	}
}

// wrote records what changed in the conditions of an object. None of them may
// come back to what it was: that is flapping. The caller holds mu.
func (c *chronicle) wrote(o *unstructured.Unstructured) {
	so := new(v1alpha1.ScaledObject)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, so); err != nil {
		c.t.Error(err)
		return
	}
	was := c.states[so.Name]
	is := map[v1alpha1.ConditionType]string{}
	changes := []string{"written"}
	for _, condition := range so.Status.Conditions {
		now := string(condition.Status) + "/" + condition.Reason
		if is[condition.Type] != "" {
			c.t.Errorf("%s has two conditions %s", so.Name, condition.Type)
		}
		is[condition.Type] = now
		if now == was[condition.Type] {
			continue
		}
		changes = append(changes, fmt.Sprintf("%s %s", condition.Type, now))
		key := so.Name + " " + changes[len(changes)-1]
		if c.seen[key] {
			c.t.Errorf("%s once more, after %s: %s", key, was[condition.Type], condition.Message)
		}
		c.seen[key] = true
	}
	if len(changes) == 1 {
		changes = append(changes, "its conditions as before")
	}
	c.states[so.Name] = is
	c.add(so.Name + " " + strings.Join(changes, ", "))
}

// told records an event. None may be repeated. The caller holds mu.
func (c *chronicle) told(e *eventsv1.Event) {
	key := fmt.Sprintf("%s event %s", e.Regarding.Name, e.Reason)
	if c.seen[key+e.Note] || e.Series != nil {
		c.t.Errorf("%s is repeated: %s", key, e.Note)
	}
	c.seen[key+e.Note] = true
	c.add(key)
}

func (c *chronicle) add(entry string) { c.news, c.last = append(c.news, entry), time.Now() }

// take returns what is new since it was last called.
func (c *chronicle) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.news
	c.news = nil
	return out
}

// unsettled says what is not yet as it must become; nil once all is, and nothing
// has happened for a while.
func (c *chronicle) unsettled(all []subject) error {
	const quiet = 8 * time.Second // several polls, and periods of the HPA controller
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range all {
		want := s.final()
		for _, typ := range slices.Sorted(maps.Keys(want)) {
			if got := c.states[s.name][typ]; got != want[typ] {
				return fmt.Errorf("%s: %s is %q, want %q", s.name, typ, got, want[typ])
			}
		}
	}
	if since := time.Since(c.last); since < quiet {
		return fmt.Errorf("something happened %s ago: %s", since, c.news[len(c.news)-1])
	}
	return nil
}

func TestConditionsDoNotFlap(t *testing.T) {
	ns := cluster.NewNamespace(t)
	open, locked := startRedis(t, redis.Options{}), startRedis(t, redis.Options{Password: "right"})
	all, c := subjects(), newChronicle(t, ns)
	applySubjects(t, ns, all, open, locked)
	cluster.WaitFor(t, 3*time.Minute, "all objects to be settled", func() error { return c.unsettled(all) })
	first := c.take()
	t.Logf("%d objects settled after %d writes and events, the last of them %s", len(all), len(first), strings.Join(first[len(first)-5:], "; "))

	for _, s := range all {
		switch {
		case s.fallback:
			judged(t, ns, s.name, "Current", "Degraded", "")
		case s.fault != "":
			judged(t, ns, s.name, "InProgress", "Degraded", "s0-redis-"+s.name)
		default:
			judged(t, ns, s.name, "Current", "Healthy", "ready")
		}
	}

	calls := commands(t, open)
	start := time.Now()
	time.Sleep(*soakFor)
	if news := c.take(); len(news) > 0 {
		t.Errorf("%d writes and events although nothing happened: %s", len(news), strings.Join(news[:min(20, len(news))], "; "))
	}
	polls := commands(t, open) - calls
	t.Logf("%d measurements in %s without a write or an event", polls, time.Since(start).Round(time.Second))
	if least := int(soakFor.Seconds()) * len(all) / 4; polls < least {
		t.Errorf("%d measurements, want %d at least: nothing was at stake", polls, least)
	}

	repaired := subject{}
	for _, s := range all {
		if s.fault == "wrong-type" && s.replicas == 0 && !s.fallback {
			repaired = s
		}
	}
	cli(t, open, "DEL", repaired.name)
	condition(t, 30*time.Second, ns, repaired.name, v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	time.Sleep(5 * time.Second) // whatever follows from it has happened by then
	news := c.take()
	slices.Sort(news)
	want := []string{repaired.name + " event ScaledObjectReady", repaired.name + " written, Ready True/ScaledObjectReady"}
	if !slices.Equal(news, want) {
		t.Errorf("the repair of one source had as consequences %s; want %s", strconv.Quote(strings.Join(news, "; ")), want)
	}
}
