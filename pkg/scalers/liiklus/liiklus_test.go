package liiklus_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/liiklus"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
	fake "github.com/weir-sh/weir/test/fakes/liiklus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what a test may wait for; nothing healthy takes a tenth of it.
const soon = 20 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// start starts a server; the test stops it.
func start(t *testing.T, address string) *fake.Server {
	t.Helper()
	s, err := fake.Start(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s *fake.Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// values are those of a trigger of group "g".
func values(address, topic string, pairs ...string) param.Values {
	v := param.Values{Metadata: map[string]string{"address": address, "topic": topic, "group": "g"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Metadata[pairs[i]] = pairs[i+1]
	}
	return v
}

func parse(t *testing.T, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := liiklus.Scaler.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return trigger
}

func open(t *testing.T, trigger scalers.Trigger) scalers.Conn {
	t.Helper()
	conn, err := trigger.Source.Open(within(t, soon), scalers.Env{ClientName: "weir-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 7, liiklus.Scaler) }

func TestConformance(t *testing.T) {
	s := start(t, "127.0.0.1:0")
	defer stop(t, s)
	type offsets = map[uint32]uint64
	cases := []scalertest.Case{
		{Name: "a topic that is not known", Values: values(s.Addr(), "none"), MetricName: "s0-liiklus-none"},
		{
			Name: "a topic that fails", Values: values(s.Addr(), "broken"), Kind: scalers.BadAnswer,
			Err: "asking Liiklus at " + s.Addr() + ` for the end of topic "broken": the server answered Internal: out of order`,
		},
		{
			Name: "nobody listens", Values: values("127.0.0.1:1", "t"), Kind: scalers.Unreachable,
			Err: "dial tcp 127.0.0.1:1: connect: connection refused; check that the server runs and that address is right",
		},
	}
	s.Fail("broken", status.Error(codes.Internal, "out of order"))
	for name, c := range map[string]struct {
		commits, ends offsets
		threshold     string
		want          float64
	}{
		"some behind":                   {offsets{0: 5, 1: 7}, offsets{0: 9, 1: 7}, "10", 4},
		"nothing committed":             {nil, offsets{0: 9, 1: 7}, "10", 16},
		"more than partitions":          {offsets{0: 1}, offsets{0: 100, 1: 100}, "10", 20},
		"two per partition":             {offsets{0: 1}, offsets{0: 30}, "10", 10},
		"the remainder above the limit": {offsets{0: 1}, offsets{0: 20}, "10", 19},
		"a commit beyond the end":       {offsets{0: 9}, offsets{0: 4}, "10", 0},
		"that and one behind":           {offsets{0: 9}, offsets{0: 4, 1: 3}, "10", 3},
		"no partitions":                 {offsets{0: 9}, nil, "10", 0},
		"a threshold of zero":           {nil, offsets{0: 100}, "0", 100},
		"a negative threshold":          {nil, offsets{0: 100}, "-5", 100},
		"no overflow":                   {nil, offsets{0: math.MaxUint64, 1: 1}, "-5", math.MaxUint64},
	} {
		s.SetEnds(name, c.ends)
		s.Commit(name, "g", 3, c.commits)
		cases = append(cases, scalertest.Case{Name: name, Want: c.want, Values: values(s.Addr(), name, "groupVersion", "3", "lagThreshold", c.threshold)})
	}
	scalertest.Run(t, liiklus.Scaler, cases)
}

func TestABatchOf500(t *testing.T) {
	s := start(t, "127.0.0.1:0")
	defer stop(t, s)
	s.Fail("topic-3", status.Error(codes.Unknown, "no"))
	var queries []scalers.Query
	for i := range 500 {
		topic, group := fmt.Sprintf("topic-%d", i%10), fmt.Sprintf("group-%d", i/10)
		s.SetEnds(topic, map[uint32]uint64{0: 1000})
		s.Commit(topic, group, 0, map[uint32]uint64{0: uint64(1000 - i/10)})
		queries = append(queries, parse(t, values(s.Addr(), topic, "group", group, "lagThreshold", "100")).Query)
	}
	readings, err := open(t, parse(t, values(s.Addr(), "t"))).Fetch(within(t, soon), queries)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range readings {
		if bad := i%10 == 3; (r.Err != nil) != bad || !bad && r.Value != float64(i/10) {
			t.Errorf("query %d: %v, %v", i, r.Value, r.Err)
		}
	}
	if got, want := s.Calls(), (fake.Calls{GetOffsets: 500, GetEndOffsets: 10}); got != want {
		t.Errorf("calls %+v, want %+v", got, want)
	}
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestAHangingCallFailsAlone(t *testing.T) {
	s := start(t, "127.0.0.1:0")
	defer stop(t, s)
	s.Hang("stuck")
	good, stuck := parse(t, values(s.Addr(), "good")), parse(t, values(s.Addr(), "stuck"))
	conn := open(t, good)
	readings, err := conn.Fetch(within(t, soon), []scalers.Query{stuck.Query, good.Query})
	if err != nil || readings[1].Err != nil {
		t.Fatal(err, readings)
	}
	want := "asking Liiklus at " + s.Addr() + ` for the end of topic "stuck": no answer in time; check that the server runs and that address is right`
	if err := readings[0].Err; scalers.KindOf(err) != scalers.Unreachable || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	began := time.Now()
	if _, err := conn.Fetch(within(t, 50*time.Millisecond), []scalers.Query{stuck.Query}); scalers.KindOf(err) != scalers.Unreachable || time.Since(began) > 4*time.Second {
		t.Errorf("with the context ended: %v after %v", err, time.Since(began))
	}
}

func TestAServerThatComesBackIsMeasuredAgain(t *testing.T) {
	s := start(t, "127.0.0.1:0")
	trigger := parse(t, values(s.Addr(), "t"))
	conn := open(t, trigger)
	fetch := func() error {
		_, err := conn.Fetch(within(t, soon), []scalers.Query{trigger.Query})
		return err
	}
	if err := fetch(); err != nil {
		t.Error(err)
	}
	stop(t, s)
	if err := fetch(); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("without the server: %v", err)
	}
	s = start(t, s.Addr())
	defer stop(t, s)
	for deadline := time.Now().Add(soon); ; time.Sleep(10 * time.Millisecond) {
		if err := fetch(); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestErrorsAndWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		v    param.Values
		want string // error and warnings
	}{
		"nothing":          {param.Values{}, "parameter \"address\" is required; set it in the trigger's metadata\nparameter \"group\" is required; set it in the trigger's metadata\nparameter \"topic\" is required; set it in the trigger's metadata []"},
		"too large":        {values("l:1", "t", "groupVersion", "4294967296"), `parameter "groupVersion" must be a whole number from 0 to 4294967295 []`},
		"a socket":         {values("unix:/run/x", "t"), `<nil> [parameter "address" cannot be connected to; give it as host:port]`},
		"another protocol": {values("http://l:1", "t"), `<nil> [parameter "address" cannot be connected to; give it as host:port]`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := liiklus.Scaler.Parse(c.v)
			if got := fmt.Sprint(err, " ", warnings); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
