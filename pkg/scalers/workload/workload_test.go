package workload_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
	"github.com/weir-sh/weir/pkg/scalers/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster answers from a table, by namespace and selector.
type cluster map[string]int

func (c cluster) CountPods(_ context.Context, namespace, selector string) (pods, nodes int, err error) {
	n, ok := c[namespace+" "+selector]
	if !ok {
		return 0, 0, errors.New("the cache is not filled yet")
	}
	return n, (n + 1) / 2, nil
}

func values(pairs ...string) param.Values {
	v := param.Values{Namespace: "shop", Metadata: map[string]string{"value": "2"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Metadata[pairs[i]] = pairs[i+1]
	}
	return v
}

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 4, workload.Scaler) }

func TestPromises(t *testing.T) { scalertest.Describe(t, workload.Scaler) }

func TestReadings(t *testing.T) {
	counts := cluster{"shop app=a": 3, "shop app=b": 0, "other app=a": 7}
	other := values("podSelector", "app=a")
	other.Namespace = "other"
	for name, c := range map[string]struct {
		v       param.Values
		cluster scalers.Cluster
		want    string
	}{
		"pods":                         {values("podSelector", "app=a"), counts, "3 <nil>"},
		"no pods":                      {values("podSelector", "app=b"), counts, "0 <nil>"},
		"of the object's namespace":    {other, counts, "7 <nil>"},
		"nodes":                        {values("podSelector", "app=a", "groupByNode", "true"), counts, "2 <nil>"},
		"a cluster that cannot answer": {values("podSelector", "app=c"), counts, `0 counting pods in namespace "shop": the cache is not filled yet`},
	} {
		t.Run(name, func(t *testing.T) {
			trigger, _, err := workload.Scaler.Parse(c.v)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := trigger.Source.Open(t.Context(), scalers.Env{Log: slog.New(slog.DiscardHandler), Cluster: c.cluster})
			if err != nil {
				t.Fatal(err)
			}
			readings, err := conn.Fetch(t.Context(), []scalers.Query{trigger.Query})
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(readings[0].Value, " ", readings[0].Err); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := conn.Fetch(cancelled, []scalers.Query{trigger.Query}); !errors.Is(err, context.Canceled) {
				t.Errorf("with the context ended: %v", err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWithoutAClusterNothingIsCounted(t *testing.T) {
	trigger, _, err := workload.Scaler.Parse(values("podSelector", "app=a"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = trigger.Source.Open(t.Context(), scalers.Env{})
	want := "counting pods: there is no cluster to count in; see the status of the object in the cluster: weir check cannot measure it"
	if scalers.KindOf(err) != scalers.Invalid || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestThresholds(t *testing.T) {
	formula := param.Values{Metadata: map[string]string{"podSelector": "a"}, FormulaOnly: true}
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"both":         {values("podSelector", "a", "activationValue", "1.5"), "{2 1.5} <nil>"},
		"none":         {param.Values{Metadata: map[string]string{"podSelector": "a"}}, `{0 0} parameter "value" is required, and must be above zero`},
		"for formulas": {formula, "{0 0} <nil>"},
		"negative":     {values("podSelector", "a", "value", "-1"), `{0 0} parameter "value" is required, and must be above zero`},
		"no selector":  {values(), `{0 0} parameter "podSelector" is required; set it in the trigger's metadata`},
	} {
		t.Run(name, func(t *testing.T) {
			trigger, _, err := workload.Scaler.Parse(c.v)
			if got := fmt.Sprint(trigger.Thresholds, " ", err); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSelectors(t *testing.T) {
	const (
		joined = "requirements are joined by commas"
		begins = "each requirement begins with a label's name"
		valued = "a label's value has up to 63 letters, digits, dashes, dots and underscores"
		set    = "in and notin are followed by values in brackets, joined by commas"
		number = "> and < are followed by a whole number"
		op     = "a label's name is followed by =, ==, !=, in, notin, > or <"
	)
	for text, want := range map[string]string{
		"app":                             "",
		"!app":                            "",
		"! app":                           "",
		"app=a":                           "",
		"app==a,tier!=b":                  "",
		"app = a , tier != b":             "",
		"app==":                           "",
		"app=,tier":                       "",
		"app in (a)":                      "",
		"app in (a, b),x notin (c,)":      "",
		"app in (,)":                      "",
		"in in (in)":                      "",
		"example.com/app.kubernetes_io=x": "",
		"n > 5,m<-3":                      "",
		"a=b=c":                           joined,
		"!a=b":                            joined,
		"a b":                             op,
		"a,":                              begins,
		",a":                              begins,
		"=a":                              begins,
		"-a=b":                            begins,
		"Example.com/a":                   begins,
		"a/b/c":                           begins,
		"/a":                              begins,
		"a=b c":                           joined,
		"a=-b":                            valued,
		"a=" + strings.Repeat("x", 64):    valued,
		"a in b":                          set,
		"a in ()":                         set,
		"a in (b":                         set,
		"a in (b c)":                      set,
		"a in (=)":                        valued,
		"a > b":                           number,
		"a >":                             number,
		"a(b)":                            op,
	} {
		_, _, err := workload.Scaler.Parse(values("podSelector", text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && fmt.Sprint(err) != `parameter "podSelector" must be a label selector: `+want:
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
