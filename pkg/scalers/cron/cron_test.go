package cron_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/cron"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 6, cron.Scaler) }

// values are those of a trigger that asks for 4 replicas, with what differs.
func values(zone, start, end string, pairs ...string) param.Values {
	v := param.Values{Metadata: map[string]string{"timezone": zone, "start": start, "end": end, "desiredReplicas": "4"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Metadata[pairs[i]] = pairs[i+1]
	}
	return v
}

func parse(t *testing.T, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := cron.Scaler.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return trigger
}

func TestMetricNames(t *testing.T) {
	got := parse(t, values("Europe/Berlin", "*/58,9 ? * * *", "30 18 * * 1-5")).MetricName(1)
	if want := "s1-cron-Europe-Berlin-xSl58Cm9Qmxxx-3018xx1-5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// never is a date that does not come.
const never = "0 0 31 2 *"

func TestConformance(t *testing.T) {
	scalertest.Run(t, cron.Scaler, []scalertest.Case{
		{Name: "inside a window", Values: values("UTC", "0 8 * * *", never), Want: 4, Activity: scalers.Busy, MetricName: "s0-cron-UTC-08xxx-00312x"},
		{Name: "outside", Values: values("UTC", never, "0 8 * * *"), Activity: scalers.Idle},
		{Name: "fewer than none", Values: values("UTC", "0 8 * * *", never, "desiredReplicas", "-2"), Activity: scalers.Busy},
		{
			Name: "an unknown zone", Values: values("Mars/Base", "0 8 * * *", never), Kind: scalers.Invalid,
			Err: `reading timezone "Mars/Base": there is no time zone of that name; correct the trigger`,
		},
	})
}

// at lets the clock of a bubble, which begins on Saturday 1 January 2000 in UTC,
// pass to an instant.
func at(t *testing.T, instant string) {
	t.Helper()
	when, err := time.Parse(time.RFC3339, instant)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(when))
	synctest.Wait()
}

func TestTheWindow(t *testing.T) {
	const start, end = "0 8 * * 1-5", "30 18 * * 1-5"
	for _, c := range []struct {
		zone, now string
		want      float64
	}{
		{"UTC", "2000-01-02T12:00:00Z", 0}, // Sunday
		{"UTC", "2000-01-03T07:59:59Z", 0},
		{"UTC", "2000-01-03T08:00:00Z", 4},
		{"UTC", "2000-01-03T18:29:59Z", 4},
		{"UTC", "2000-01-03T18:30:00Z", 0},
		{"UTC", "2000-01-04T07:59:59.999Z", 0},
		{"UTC", "2000-01-07T12:00:00Z", 4}, // Friday
		{"UTC", "2000-01-07T18:30:00Z", 0},
		{"Europe/Berlin", "2000-01-03T07:00:00Z", 4},
		{"Europe/Berlin", "2000-01-03T17:30:00Z", 0},
		{"America/New_York", "2000-01-03T12:59:59Z", 0},
		{"America/New_York", "2000-01-03T13:00:00Z", 4},
		// Summer time begins in Berlin on 26 March.
		{"Europe/Berlin", "2000-03-27T06:00:00Z", 4},
		{"Europe/Berlin", "2000-03-27T05:59:59Z", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			at(t, c.now)
			trigger := parse(t, values(c.zone, start, end))
			conn, err := trigger.Source.Open(t.Context(), scalers.Env{})
			if err != nil {
				t.Fatal(err)
			}
			readings, err := conn.Fetch(t.Context(), []scalers.Query{trigger.Query})
			if err != nil || readings[0].Err != nil {
				t.Fatal(err, readings)
			}
			want := map[bool]scalers.Activity{true: scalers.Busy, false: scalers.Idle}[c.want > 0]
			if r := readings[0]; r.Value != c.want || r.Activity != want {
				t.Errorf("%s at %s: %v, %v; want %v, %v", c.zone, c.now, r.Value, r.Activity, c.want, want)
			}
		})
	}
}

func TestTriggersAreWokenAtTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		office := parse(t, values("UTC", "0 8 * * *", "30 18 * * *"))
		berlin := parse(t, values("Europe/Berlin", "0 8 * * *", "30 18 * * *"))
		dead := parse(t, values("UTC", never, "0 0 30 2 *"))
		mars := parse(t, values("Mars/Base", "* * * * *", "0 9 * * *"))
		names := map[scalers.Query]string{office.Query: "office", berlin.Query: "berlin"}
		conn, err := office.Source.Open(t.Context(), scalers.Env{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var woken []string
		ready, ended := false, make(chan error, 1)
		go func() {
			ended <- conn.Watch(ctx, []scalers.Query{office.Query, berlin.Query, dead.Query, mars.Query}, func() { ready = true }, func(q scalers.Query) {
				woken = append(woken, names[q]+" "+time.Now().UTC().Format("02 15:04:05.000"))
			})
		}()
		synctest.Wait()
		if !ready {
			t.Error("not ready at once")
		}
		at(t, "2000-01-02T08:00:00Z")
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		want := []string{
			"berlin 01 07:00:00.000", "office 01 08:00:00.000", "berlin 01 17:30:00.000", "office 01 18:30:00.000",
			"berlin 02 07:00:00.000", "office 02 08:00:00.000",
		}
		if !slices.Equal(woken, want) {
			t.Errorf("woken\n%s\nwant\n%s", strings.Join(woken, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestErrorsAndWarnings(t *testing.T) {
	const fields = ` must be five fields such as "30 8 * * 1-5": minute, hour, day of month, month and day of week []`
	for name, c := range map[string]struct {
		v    param.Values
		want string // error and warnings
	}{
		"nothing":                {param.Values{}, "parameter \"desiredReplicas\" is required; set it in the trigger's metadata\nparameter \"end\" is required; set it in the trigger's metadata\nparameter \"start\" is required; set it in the trigger's metadata\nparameter \"timezone\" is required; set it in the trigger's metadata []"},
		"a descriptor":           {values("UTC", "@daily", "0 9 * * *"), `parameter "start"` + fields},
		"four fields":            {values("UTC", "0 8 * * *", "0 9 * *"), `parameter "end"` + fields},
		"out of range":           {values("UTC", "60 8 * * *", "0 9 * * *"), `parameter "start"` + fields},
		"a zone and nothing":     {values("UTC", "TZ=UTC", "0 9 * * *"), `parameter "start"` + fields},
		"a zone of its own":      {values("UTC", "TZ=Asia/Tokyo 0 8 * * *", "0 9 * * *"), "<nil> []"},
		"names":                  {values("UTC", "0 8 * JAN MON-FRI", "0 9 ? * *"), "<nil> []"},
		"the same":               {values("UTC", "0 8 * * *", " 0 8 * * * "), `parameter "end" must differ from "start" []`},
		"an unknown zone":        {values("Mars/Base", "0 8 * * *", "0 9 * * *"), `<nil> [parameter "timezone" is not known; measuring fails]`},
		"a day that never comes": {values("UTC", never, "0 9 * * *"), `<nil> [parameter "start" never comes: there is no such day]`},
		"29 February":            {values("UTC", "0 8 29 2 *", "0 9 29 2 *"), "<nil> []"},
		"no replicas":            {values("UTC", "0 8 * * *", "0 9 * * *", "desiredReplicas", "0"), `parameter "desiredReplicas" must not be zero; write minReplicaCount: 0 to rest at zero outside the window []`},
		"fewer than none":        {values("UTC", "0 8 * * *", "0 9 * * *", "desiredReplicas", "-1"), `<nil> [parameter "desiredReplicas" is negative; the value is 0 inside the window, too]`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := cron.Scaler.Parse(c.v)
			if got := fmt.Sprint(err, " ", warnings); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestABatchOf500OpensOneSource(t *testing.T) {
	sources, queries := map[scalers.SourceKey]bool{}, make([]scalers.Query, 500)
	for i := range queries {
		trigger := parse(t, values("UTC", fmt.Sprintf("%d 8 * * *", i%60), never, "desiredReplicas", fmt.Sprint(i+1)))
		sources[trigger.Source], queries[i] = true, trigger.Query
	}
	if len(sources) != 1 {
		t.Fatalf("%d sources", len(sources))
	}
	for key := range maps.Keys(sources) {
		conn, err := key.Open(t.Context(), scalers.Env{})
		if err != nil {
			t.Fatal(err)
		}
		readings, err := conn.Fetch(t.Context(), queries)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range readings {
			if r.Value != float64(i+1) {
				t.Errorf("query %d: %v", i, r)
			}
		}
	}
}
