package external_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	pb "github.com/weir-sh/weir/pkg/scalers/external/externalscaler"
)

// watching is a running Watch.
type watching struct {
	ready chan struct{}
	woken chan scalers.Query
	ended chan error
}

// watch watches queries until the test ends.
func watch(t *testing.T, conn scalers.Conn, queries ...scalers.Query) watching {
	t.Helper()
	w := watching{ready: make(chan struct{}), woken: make(chan scalers.Query, 1000), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() {
		w.ended <- conn.Watch(ctx, queries, func() { close(w.ready) }, func(q scalers.Query) { w.woken <- q })
	})
	t.Cleanup(func() { cancel(); run.Wait() })
	return w
}

// next returns the next thing that a channel gives.
func next[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(soon):
		t.Fatalf("no %s within %v", what, soon)
		panic("not reached")
	}
}

// send gives the server something to say.
func send[T any](t *testing.T, to chan<- T, v T) {
	t.Helper()
	select {
	case to <- v:
	case <-time.After(soon):
		t.Fatalf("nobody took %v within %v", v, soon)
	}
}

func reading(t *testing.T, conn scalers.Conn, q scalers.Query) scalers.Reading {
	t.Helper()
	readings, err := conn.Fetch(within(t, soon), []scalers.Query{q})
	if err != nil || readings[0].Err != nil {
		t.Fatal(err, readings)
	}
	return readings[0]
}

func TestATrueWakesAndCountsAsWorkOnce(t *testing.T) {
	impl := newServer()
	s := start(t, impl, nil, "")
	idle, quiet := parse(t, "external-push", values(s.address, "case", "idle")), parse(t, "external-push", values(s.address, "case", "quiet"))
	conn := open(t, idle)
	w := watch(t, conn, idle.Query, quiet.Query)
	next(t, w.ready, "ready")
	send(t, impl.events, false)
	send(t, impl.events, true)
	if q := next(t, w.woken, "wake"); q != idle.Query {
		t.Errorf("woke %v", q)
	}
	if r := reading(t, conn, idle.Query); r.Activity != scalers.Busy {
		t.Errorf("after a true: %+v", r)
	}
	if r := reading(t, conn, idle.Query); r.Activity != scalers.Idle {
		t.Errorf("after it was reported: %+v", r)
	}
	if len(w.woken) > 0 {
		t.Errorf("a false woke %v", <-w.woken)
	}
}

func TestStreamsOf500Workloads(t *testing.T) {
	impl := newServer()
	s := start(t, impl, nil, "")
	var queries []scalers.Query
	for i := range 500 {
		v := values(s.address)
		v.Name = fmt.Sprintf("worker-%d", i)
		queries = append(queries, parse(t, "external-push", v).Query)
	}
	w := watch(t, open(t, parse(t, "external-push", values(s.address))), queries...)
	next(t, w.ready, "ready")
	for deadline := time.Now().Add(soon); impl.counted("StreamIsActive") < 500; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams, want 500", impl.counted("StreamIsActive"))
		}
	}
	if n := s.accepted.Load(); n != 10 {
		t.Errorf("%d connections, want 10", n)
	}
	woken := map[scalers.Query]bool{}
	for range queries { // each is taken by one stream; which one is up to the server
		send(t, impl.events, true)
		woken[next(t, w.woken, "wake")] = true
	}
	if len(woken) == 0 {
		t.Error("nobody was woken")
	}
}

func TestAWatchEndsWithTheServer(t *testing.T) {
	s := start(t, newServer(), nil, "")
	trigger := parse(t, "external-push", values(s.address))
	conn := open(t, trigger)
	w := watch(t, conn, trigger.Query)
	next(t, w.ready, "ready")
	s.stop()
	if err := next(t, w.ended, "end"); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("%v", err)
	}
	w = watch(t, conn, trigger.Query)
	if err := next(t, w.ended, "end"); scalers.KindOf(err) != scalers.Unreachable || !strings.Contains(err.Error(), "for a stream that tells of work") {
		t.Errorf("without a server: %v", err)
	}
	impl := newServer()
	start(t, impl, nil, s.address)
	for {
		w = watch(t, conn, trigger.Query)
		select {
		case <-w.ready:
			send(t, impl.events, true)
			next(t, w.woken, "wake")
			return
		case err := <-w.ended: // the engine, too, tries again after a pause
			t.Logf("before the server is back: %v", err)
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func TestAStreamThatEndsIsOpenedAgainAlone(t *testing.T) {
	t.Parallel()
	impl := newServer()
	s := start(t, impl, nil, "")
	breaks, quiet := parse(t, "external-push", values(s.address)), parse(t, "external-push", values(s.address, "case", "quiet"))
	w := watch(t, open(t, breaks), breaks.Query, quiet.Query)
	next(t, w.ready, "ready")
	old := impl.events
	impl.mu.Lock()
	impl.events = make(chan bool)
	impl.mu.Unlock()
	close(old)
	send(t, impl.events, true)
	if q := next(t, w.woken, "wake"); q != breaks.Query {
		t.Errorf("woke %v", q)
	}
	if len(w.ended) > 0 {
		t.Errorf("the watch ended: %v", <-w.ended)
	}
}

func TestARefusedStreamDoesNotEndTheOthers(t *testing.T) {
	t.Parallel()
	impl := newServer()
	s := start(t, impl, nil, "")
	refused, good := parse(t, "external-push", values(s.address, "case", "refused stream")), parse(t, "external-push", values(s.address))
	w := watch(t, open(t, good), refused.Query, good.Query)
	next(t, w.ready, "ready")
	for q := (scalers.Query{}); q != refused.Query; { // opened again, and what may have been missed is measured
		q = next(t, w.woken, "wake")
	}
	send(t, impl.events, true)
	for q := (scalers.Query{}); q != good.Query; {
		q = next(t, w.woken, "wake")
	}
}

func TestAServerWithoutStreamsIsPolled(t *testing.T) {
	s := start(t, newServer(), nil, "")
	trigger := parse(t, "external-push", values(s.address, "case", "no stream"))
	w := watch(t, open(t, trigger), trigger.Query)
	if err := next(t, w.ended, "end"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func TestStreamedMetricsReplaceWhatIsKnown(t *testing.T) {
	impl := newServer()
	s := start(t, impl, nil, "")
	trigger := parse(t, "external-push", values(s.address, "case", "specs"))
	conn := open(t, trigger)
	w := watch(t, conn, trigger.Query)
	next(t, w.ready, "ready")
	if r := reading(t, conn, trigger.Query); len(r.Metrics) != 2 {
		t.Errorf("%+v", r)
	}
	send(t, impl.specs, &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{MetricName: "new", TargetSize: 7}}})
	next(t, w.woken, "wake")
	if r := reading(t, conn, trigger.Query); len(r.Metrics) != 1 || r.Metrics[0] != (scalers.Metric{Name: "new", Target: 7, Value: 3}) {
		t.Errorf("%+v", r)
	}
	if n := impl.counted("GetMetricSpec"); n != 1 {
		t.Errorf("GetMetricSpec was called %d times", n)
	}
	send(t, impl.specs, &pb.GetMetricSpecResponse{})
	next(t, w.woken, "wake")
	if r := reading(t, conn, trigger.Query); len(r.Metrics) != 2 {
		t.Errorf("after an answer without metrics: %+v", r)
	}
}
