package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place and thing are the settings and the query of the scaler under test.
type place struct {
	addr     string
	password param.Secret
}

type thing struct{ name string }

// upstream plays the servers behind every source of one definition. Hooks are
// set before the engine runs, or under mu.
type upstream struct {
	def *scalers.Definition

	mu      sync.Mutex // guards all below
	values  map[string]scalers.Reading
	fetches []fetched
	opens   []string // addresses, in order
	closes  int
	latency time.Duration
	onOpen  func(context.Context, place) error
	onFetch func(context.Context, place, []thing) error // an error fails the Fetch
	onWatch func(context.Context, []thing, func(), func(thing)) error
	watches [][]thing
}

type fetched struct {
	addr  string
	at    time.Time
	names []string // sorted
}

func newUpstream(maxBatch int, watches bool) *upstream {
	u := &upstream{values: map[string]scalers.Reading{}}
	u.def = scalers.Define(scalers.Spec[place, thing]{
		Type: "fake", Summary: "Scales on nothing.", Unit: "things", MaxBatch: maxBatch, PerQuery: maxBatch == 1, Watches: watches,
		Settings: func(s *place, p *param.Set) {
			p.String(&s.addr, "addr", "Address.")
			p.Secret(&s.password, "password", "Password.", param.From(param.Auth))
		},
		Query:      func(q *thing, p *param.Set) { p.String(&q.name, "name", "Name.") },
		MetricName: func(place, thing) string { return "fake" },
		Open:       u.open,
	})
	return u
}

func (u *upstream) open(ctx context.Context, _ scalers.Env, s place) (scalers.Source[thing], error) {
	u.mu.Lock()
	u.opens = append(u.opens, s.addr)
	hook := u.onOpen
	u.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, s); err != nil {
			return nil, err
		}
	}
	return &conn{u, s}, nil
}

// set makes name read value.
func (u *upstream) set(name string, value float64) { u.reads(name, scalers.Reading{Value: value}) }

func (u *upstream) reads(name string, r scalers.Reading) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.values[name] = r
}

// do runs f under the lock.
func (u *upstream) do(f func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f()
}

// log returns the fetches since the last call.
func (u *upstream) log() []fetched {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.fetches
	u.fetches = nil
	return out
}

// opened counts the calls of Open.
func (u *upstream) opened() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.opens)
}

// closed counts the calls of Close.
func (u *upstream) closed() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closes
}

// started has the number of queries of each Watch.
func (u *upstream) started() []int {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := make([]int, len(u.watches))
	for i, w := range u.watches {
		out[i] = len(w)
	}
	return out
}

// conn is an open connection to the upstream.
type conn struct {
	u *upstream
	s place
}

func (c *conn) Fetch(ctx context.Context, things []thing) ([]scalers.Reading, error) {
	names := make([]string, len(things))
	for i, x := range things {
		names[i] = x.name
	}
	slices.Sort(names)
	c.u.mu.Lock()
	c.u.fetches = append(c.u.fetches, fetched{c.s.addr, time.Now(), names})
	hook, latency := c.u.onFetch, c.u.latency
	c.u.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, c.s, things); err != nil {
			return nil, err
		}
	}
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	out := make([]scalers.Reading, len(things))
	for i, x := range things {
		out[i] = c.u.values[x.name]
	}
	return out, nil
}

func (c *conn) Watch(ctx context.Context, things []thing, ready func(), wake func(thing)) error {
	c.u.mu.Lock()
	c.u.watches = append(c.u.watches, slices.Clone(things))
	hook := c.u.onWatch
	c.u.mu.Unlock()
	if hook == nil {
		return errors.ErrUnsupported
	}
	return hook(ctx, things, ready, wake)
}

func (c *conn) Close() error {
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	c.u.closes++
	return nil
}

// query parses the query name at addr.
func (u *upstream) query(t testing.TB, addr, name string, password ...string) scalers.Query {
	t.Helper()
	v := param.Values{Metadata: map[string]string{"addr": addr, "name": name}, Auth: map[string]string{}}
	if len(password) > 0 {
		v.Auth["password"] = password[0]
	}
	trigger, _, err := u.def.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return trigger.Query
}

// uses makes Uses of queries, all with the same interval.
func uses(interval time.Duration, queries ...scalers.Query) []engine.Use {
	out := make([]engine.Use, len(queries))
	for i, q := range queries {
		out[i] = engine.Use{Query: q, Interval: interval}
	}
	return out
}

// start runs an engine until the test ends.
func start(t testing.TB, cfg engine.Config) *engine.Engine {
	t.Helper()
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return e
}

// told collects what OnReadings is called with.
type told struct {
	mu     sync.Mutex
	owners []engine.Owner
}

func (o *told) hear(owners []engine.Owner) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.owners = append(o.owners, owners...)
}

// take returns the owners since the last call, sorted.
func (o *told) take() []engine.Owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.owners
	o.owners = nil
	slices.Sort(out)
	return out
}

// wantSample compares value and error text of what is known of q.
func wantSample(t *testing.T, e *engine.Engine, q scalers.Query, ok bool, value float64, wantErr string) {
	t.Helper()
	s := e.Latest(q)
	text := ""
	if s.Err != nil {
		text = s.Err.Error()
	}
	if s.OK != ok || s.Value != value || text != wantErr {
		t.Errorf("Latest is ok %v, value %v, error %q; want %v, %v, %q", s.OK, s.Value, text, ok, value, wantErr)
	}
	if (s.Err == nil) != s.ErrSince.IsZero() {
		t.Errorf("ErrSince is %v with error %v", s.ErrSince, s.Err)
	}
}

// sizes are the batch sizes of fetches.
func sizes(fetches []fetched) []int {
	out := make([]int, len(fetches))
	for i, f := range fetches {
		out[i] = len(f.names)
	}
	return out
}

// named makes n queries "q0", "q1", ... at addr, each reading 1.
func (u *upstream) named(t testing.TB, addr string, n int) []scalers.Query {
	t.Helper()
	out := make([]scalers.Query, n)
	for i := range out {
		name := fmt.Sprintf("q%d", i)
		u.set(name, 1)
		out[i] = u.query(t, addr, name)
	}
	return out
}

// failing makes an error of a kind.
func failing(kind scalers.Kind, text string) error {
	return &scalers.Error{Kind: kind, Op: "measuring", Err: errors.New(text)}
}
