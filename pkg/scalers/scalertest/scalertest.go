// Package scalertest checks what every scaler promises.
//
// A scaler's test starts an upstream and calls Run with a table of triggers and
// the readings they must give. Run measures each of them and then checks, with
// the same triggers, what no table would think of: that a bad query does not
// spoil its neighbours, that a cancelled measurement ends and leaves nothing
// behind on the connection, that Close stops every goroutine, that no error shows
// a secret. Describe checks the part of it that needs no upstream; it runs over
// every scaler in the registry.
//
// Each promise is a subtest of its own, named for what it says.
package scalertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Case is one trigger and what measuring it must give.
type Case struct {
	Name   string // a sentence without its full stop: "a queue with three messages"
	Values param.Values

	// Want is the value, in the scaler's unit. It is ignored when Err is set.
	Want float64
	// Work is Reading.Work where that is more than Want.
	Work float64
	// Activity is Reading.Activity.
	Activity scalers.Activity
	// Metrics are Reading.Metrics; nil is not checked.
	Metrics []scalers.Metric
	// MetricName is the trigger's metric name as the first of its object, such
	// as "s0-redis-jobs"; empty is not checked.
	MetricName string

	// Empty is Reading.Empty, also of a reading with an error.
	Empty bool

	// Err is a part of the error's text; empty means that there must be none.
	// The error may be the reading's, or that of Open or Fetch as a whole.
	Err string
	// Kind is the error's kind; empty is not checked.
	Kind scalers.Kind
}

// patience is how long anything here may take that should be done at once. It
// only bounds how long a failure takes.
const patience = 5 * time.Second

// Run checks def against a real upstream. At least one case must have Err set and
// share its connection with a case that has not. Run must not be called from a
// parallel test: it looks for goroutines that are left.
func Run(t *testing.T, def *scalers.Definition, cases []Case) {
	t.Helper()
	if len(cases) == 0 {
		t.Fatal("the table has no case")
	}
	u := &upstream{def: def, transport: &http.Transport{Proxy: nil}, single: map[scalers.Query]scalers.Reading{}}
	t.Cleanup(u.transport.CloseIdleConnections)
	for _, c := range cases {
		t.Run("case/"+c.Name, func(t *testing.T) { u.measure(t, c) })
	}
	u.promises(t, cases)
	Describe(t, def)
}

// upstream is def together with the server that the cases talk to.
type upstream struct {
	def       *scalers.Definition
	transport *http.Transport
	single    map[scalers.Query]scalers.Reading // what each case gave when measured alone
	sources   []scalers.SourceKey               // of the cases in single, in their order, each once
	queries   map[scalers.SourceKey][]scalers.Query
}

// env is what the engine would give a source.
func (u *upstream) env() scalers.Env {
	return scalers.Env{
		Log:        slog.New(slog.DiscardHandler),
		HTTP:       &http.Client{Transport: u.transport, Timeout: patience},
		ClientName: "weir-test",
		Dial:       (&net.Dialer{Timeout: patience}).DialContext,
	}
}

// open opens a connection, with a deadline.
func (u *upstream) open(ctx context.Context, key scalers.SourceKey) (scalers.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return key.Open(ctx, u.env())
}

// fetch measures queries in batches no larger than the scaler takes.
func (u *upstream) fetch(ctx context.Context, conn scalers.Conn, queries []scalers.Query) ([]scalers.Reading, error) {
	size := len(queries)
	if u.def.MaxBatch > 0 {
		size = min(size, u.def.MaxBatch)
	}
	var out []scalers.Reading
	for len(out) < len(queries) {
		batch := queries[len(out):min(len(out)+size, len(queries))]
		ctx, cancel := context.WithTimeout(ctx, patience)
		readings, err := conn.Fetch(ctx, batch)
		cancel()
		if err != nil {
			return nil, err
		}
		out = append(out, readings...)
	}
	return out, nil
}

// measure parses c, measures it alone on a connection of its own, and compares.
func (u *upstream) measure(t *testing.T, c Case) {
	t.Helper()
	trigger, _, err := u.def.Parse(c.Values)
	if err != nil {
		t.Fatalf("parsing the case's values: %v", err)
	}
	if got := trigger.MetricName(0); c.MetricName != "" && got != c.MetricName {
		t.Errorf("the metric's name is %s, want %s; users' dashboards depend on it", got, c.MetricName)
	}
	conn, err := u.open(t.Context(), trigger.Source)
	if err != nil {
		c.compareError(t, err)
		return
	}
	defer closeConn(t, conn)
	readings, err := u.fetch(t.Context(), conn, []scalers.Query{trigger.Query})
	if err != nil {
		c.compareError(t, err)
		return
	}
	u.remember(trigger.Query, readings[0])
	if readings[0].Empty != c.Empty {
		t.Errorf("whether the answer was empty: %v, want %v", readings[0].Empty, c.Empty)
	}
	if readings[0].Err != nil {
		c.compareError(t, readings[0].Err)
		return
	}
	c.compare(t, u.def, readings[0])
}

// remember notes a reading to compare batches with.
func (u *upstream) remember(q scalers.Query, r scalers.Reading) {
	if _, again := u.single[q]; again {
		return
	}
	if u.queries == nil {
		u.queries = map[scalers.SourceKey][]scalers.Query{}
	}
	if u.queries[q.Source] == nil {
		u.sources = append(u.sources, q.Source)
	}
	u.single[q] = r
	u.queries[q.Source] = append(u.queries[q.Source], q)
}

func (c Case) compareError(t *testing.T, err error) {
	t.Helper()
	switch {
	case c.Err == "":
		t.Errorf("measuring failed: %v", err)
	case !strings.Contains(err.Error(), c.Err):
		t.Errorf("the error is %q, want it to contain %q", err, c.Err)
	case c.Kind != "" && scalers.KindOf(err) != c.Kind:
		t.Errorf("the error is of kind %s, want %s: %v", scalers.KindOf(err), c.Kind, err)
	}
}

func (c Case) compare(t *testing.T, def *scalers.Definition, r scalers.Reading) {
	t.Helper()
	if c.Err != "" {
		t.Errorf("got %v, want an error containing %q", r.Value, c.Err)
		return
	}
	if problem := cmp.Or(odd(r), oddMetrics(def, r.Metrics)); problem != "" {
		t.Error(problem)
		return
	}
	if r.Value != c.Want {
		t.Errorf("the value is %v, want %v", r.Value, c.Want)
	}
	if got, want := max(r.Work, r.Value), max(c.Work, c.Want); r.Value == c.Want && got != want {
		t.Errorf("the work is %v, want %v", got, want)
	}
	if r.Activity != c.Activity {
		t.Errorf("the activity is %d, want %d", r.Activity, c.Activity)
	}
	if c.Metrics != nil && !slices.Equal(r.Metrics, c.Metrics) {
		t.Errorf("the metrics are %+v, want %+v", r.Metrics, c.Metrics)
	}
}

// odd says what is wrong with a reading whatever the case wants, or "".
func odd(r scalers.Reading) string {
	for name, v := range map[string]float64{"value": r.Value, "work": r.Work} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return fmt.Sprintf("the %s is %v; it must be finite and not negative, or there must be an error", name, v)
		}
	}
	if r.Activity > scalers.Idle {
		return fmt.Sprintf("the activity %d does not exist", r.Activity)
	}
	return ""
}

// oddMetrics says what is wrong with the metrics of a reading, or "".
func oddMetrics(def *scalers.Definition, metrics []scalers.Metric) string {
	if def.NamesMetrics != (len(metrics) > 0) {
		return fmt.Sprintf("there are %d metrics and Spec.NamesMetrics is %v", len(metrics), def.NamesMetrics)
	}
	for i, m := range metrics {
		switch {
		case m.Name == "" || i > 0 && m.Name <= metrics[i-1].Name:
			return fmt.Sprintf("the names of the metrics are not sorted and unique: %+v", metrics)
		case odd(scalers.Reading{Value: m.Value}) != "" || odd(scalers.Reading{Value: m.Target}) != "" || m.Target == 0:
			return fmt.Sprintf("metric %+v: the value must be finite and not negative, the target above zero", m)
		}
	}
	return ""
}

func closeConn(t *testing.T, conn scalers.Conn) {
	t.Helper()
	if err := conn.Close(); err != nil {
		t.Errorf("closing the source: %v", err)
	}
}

// within runs f and fails the test when it takes longer than patience.
func within(t *testing.T, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatalf("%s has not returned after %v", what, patience)
		return errors.ErrUnsupported // not reached
	}
}
