package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	brokers "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/cli"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// upstream counts what is asked of the fake scaler.
type upstream struct {
	mu      sync.Mutex
	opened  []string // servers
	fetched [][]string
	closed  int
}

type server struct{ name string }

type queue struct{ name, activity string }

// fake is a scaler whose queues hold what their names say; other names fail in
// various ways.
func fake(t *testing.T, up *upstream) *scalers.Definition {
	t.Helper()
	return scalers.Define(scalers.Spec[server, queue]{
		Type: "fake", Summary: "Scales on what the name of a queue says.", Unit: "messages",
		Target: scalers.Target{Param: "length", Activation: "activationLength", Default: 5},
		Settings: func(s *server, p *param.Set) {
			p.String(&s.name, "server", "Where the queue is.", param.Required, param.From(param.Env, param.Metadata, param.Auth))
			var password param.Secret
			p.Secret(&password, "password", "Password of the user.", param.Alias("pass"))
		},
		Query: func(q *queue, p *param.Set) {
			p.String(&q.name, "queue", "Name of the queue. It is long enough to be a number, which is what it is measured as, or a word.", param.Required)
			q.activity = "threshold"
			p.String(&q.activity, "activity", "Who says whether there is work.", param.OneOf("threshold", "busy", "idle"))
			var old string
			p.String(&old, "queueName", "Name of the queue.", param.Deprecated("use queue"))
		},
		MetricName: func(_ server, q queue) string { return "fake-" + q.name },
		Open: func(ctx context.Context, env scalers.Env, s server) (scalers.Source[queue], error) {
			up.mu.Lock()
			up.opened = append(up.opened, s.name)
			up.mu.Unlock()
			return open(ctx, env, up, s)
		},
		Page: scalers.Page{Measures: "The number that the name of the queue is.\n\nNothing else.", Failures: "Whatever the name says."},
		Examples: []scalers.Example{
			{Title: "Minimal", Metadata: map[string]string{"server": "s", "queue": "5"}},
			{Title: "With a password", Metadata: map[string]string{"server": "s", "queue": "5"}, Auth: map[string]string{"password": "<password>"}},
		},
	})
}

func open(ctx context.Context, env scalers.Env, up *upstream, s server) (scalers.Source[queue], error) {
	switch s.name {
	case "away":
		return nil, &scalers.Error{Kind: scalers.Unreachable, Op: "connecting to the fake", Err: errors.New("connection refused"), Hint: "check the address"}
	case "explodes":
		panic("hunter2")
	case "crashes":
		var nobody *upstream
		nobody.closed++
	case "hangs":
		<-ctx.Done()
		return nil, ctx.Err()
	case "bare":
		if env.Log == nil || env.HTTP == nil {
			return nil, errors.New("the environment is not complete")
		}
	}
	return fakeSource{up}, nil
}

type fakeSource struct{ up *upstream }

func (s fakeSource) Fetch(_ context.Context, queries []queue) ([]scalers.Reading, error) {
	s.up.mu.Lock()
	defer s.up.mu.Unlock()
	var names []string
	out := make([]scalers.Reading, len(queries))
	for i, q := range queries {
		names = append(names, q.name)
		switch q.name {
		case "none":
			out[i].Err = &scalers.Error{Kind: scalers.NotFound, Op: `measuring queue "none"`, Err: errors.New("it does not exist"), Hint: "create it"}
		case "nan":
			out[i].Value = math.NaN()
		default:
			if err := json.Unmarshal([]byte(q.name), &out[i].Value); err != nil {
				return nil, errors.New("two\nlines")
			}
		}
		out[i].Activity = map[string]scalers.Activity{"busy": scalers.Busy, "idle": scalers.Idle}[q.activity]
	}
	s.up.fetched = append(s.up.fetched, names)
	return out, nil
}

func (s fakeSource) Close() error {
	s.up.mu.Lock()
	defer s.up.mu.Unlock()
	s.up.closed++
	return errors.New("closing fails, which is nobody's business")
}

// limited is a scaler that takes two queries at a time, which is all it tells.
func limited(t *testing.T) *scalers.Definition {
	t.Helper()
	most := 0
	return scalers.Define(scalers.Spec[struct{}, queue]{
		Type: "limited", Summary: "Scales on how many queries come at a time.", Unit: "queries", MaxBatch: 2,
		Target:     scalers.Target{Param: "n", Activation: "activationN", Default: 1},
		Query:      func(q *queue, p *param.Set) { p.String(&q.name, "queue", "Any name.") },
		MetricName: func(struct{}, queue) string { return "limited" },
		Open: func(context.Context, scalers.Env, struct{}) (scalers.Source[queue], error) {
			return batches{&most}, nil
		},
	})
}

type batches struct{ most *int }

func (b batches) Fetch(_ context.Context, queries []queue) ([]scalers.Reading, error) {
	*b.most = max(*b.most, len(queries))
	out := make([]scalers.Reading, len(queries))
	for i := range out {
		out[i].Value = float64(*b.most)
	}
	return out, nil
}

func (batches) Close() error { return nil }

// latencies differ from run to run.
var latencies = regexp.MustCompile(`\d+\.\d+ms|("latencyMs": )[\d.]+`)

func TestCheck(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/check/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			// In virtual time the source that hangs costs none.
			synctest.Test(t, func(t *testing.T) { checkFile(t, file) })
		})
	}
}

func checkFile(t *testing.T, file string) {
	t.Helper()
	registry := registryOf(t, fake(t, &upstream{}), limited(t))
	name := strings.TrimSuffix(file, ".yaml")
	human := run(t, registry, "", "check", "-f", file)
	golden(t, name+".txt", latencies.ReplaceAllString(human.out, "1.2ms"))
	asJSON := run(t, registry, "", "check", "-o", "json", "-f", file)
	golden(t, name+".json.txt", latencies.ReplaceAllString(asJSON.out, "${1}1.2"))
	if strings.Contains(human.out+asJSON.out, "hunter2") {
		t.Error("a secret is shown")
	}
	want := cli.StatusFine
	if strings.Contains(name, "failures") {
		want = cli.StatusWrong
	}
	if human.status != want || asJSON.status != want || human.err+asJSON.err != "" {
		t.Errorf("status %d and %d, want %d; %s", human.status, asJSON.status, want, human.err)
	}
}

func TestCheckSharesSourcesAsTheEngineDoes(t *testing.T) {
	t.Parallel()
	up := &upstream{}
	input := strings.NewReplacer(
		`{type: redis, metadata: {address: "redis:6379", listName: orders}}`,
		`{type: fake, metadata: {server: a, queue: "1"}}
    - {type: fake, metadata: {server: a, queue: "2"}}
    - {type: fake, metadata: {server: a, queue: "1", length: "7"}}
    - {type: fake, metadata: {server: a, queue: "3"}, metricType: Value}`).Replace(fineObject)
	got := run(t, registryOf(t, fake(t, up)), input+"---\n"+strings.ReplaceAll(input, "orders", "refunds"), "check", "-f", "-")
	if got.status != cli.StatusFine {
		t.Errorf("%d\n%s%s", got.status, got.out, got.err)
	}
	if len(up.opened) != 1 || up.closed != 1 || len(up.fetched) != 1 || strings.Join(up.fetched[0], " ") != "1 2 3" {
		t.Errorf("opened %q, fetched %q, closed %d", up.opened, up.fetched, up.closed)
	}
}

func TestCheckMeasuresARealRedis(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := brokers.Start(ctx, brokers.Options{Password: "hunter2"})
	if err != nil {
		t.Fatalf("starting Redis: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.CLI(ctx, "rpush", "orders", "1", "2", "3", "4", "5", "6", "7"); err != nil {
		t.Fatal(err)
	}
	input := strings.ReplaceAll(strings.ReplaceAll(fineObject, "redis:6379", s.Addr()), "orders}}", `orders, listLength: "2"}, authenticationRef: {name: a}}`)
	credentials := func(password string) string {
		return `---
{apiVersion: keda.sh/v1alpha1, kind: TriggerAuthentication, metadata: {name: a}, spec: {secretTargetRef: [{parameter: password, name: s, key: p}]}}
---
{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {p: ` + password + `}}
`
	}
	got := run(t, actual(t), input+credentials("hunter2"), "check", "-f", "-")
	want := `OBJECT                       TRIGGER  TYPE   VALUE  TARGET  ACTIVE  REPLICAS  LATENCY
ScaledObject default/orders  0        redis  7      2       yes     4         1.2ms

1 object with 1 trigger: all fine
`
	if out := latencies.ReplaceAllString(got.out, "1.2ms"); out != want || got.status != cli.StatusFine {
		t.Errorf("%d\n%s", got.status, out)
	}
	got = run(t, actual(t), input+credentials("wrong"), "check", "-o", "json", "-f", "-")
	if got.status != cli.StatusWrong || !strings.Contains(got.out, `"errorKind": "Unauthorized"`) || strings.Contains(got.out, `"hint": ""`) {
		t.Errorf("%d\n%s", got.status, got.out)
	}
}
