package scalertest

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// answer is what a trigger is known to come to.
type answer struct {
	ID, Type, Note, Namespace  string
	MetricType, PodIdentity    string
	Metadata, AuthParams, Env  map[string]string
	Expect, MetricName, Target string
	TriggerIndex               int
}

// KnownAnswers parses the triggers in testdata/vectors.json, of which there must
// be at least so many, and compares what comes of them: whether they are accepted,
// the metric's name and the target.
func KnownAnswers(t *testing.T, least int, defs ...*scalers.Definition) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []answer
	if err := json.Unmarshal(text, &rows); err != nil || len(rows) < least {
		t.Fatalf("%d rows, want at least %d; %v", len(rows), least, err)
	}
	for _, r := range rows {
		t.Run(r.ID+" "+r.Note, func(t *testing.T) {
			i := slices.IndexFunc(defs, func(d *scalers.Definition) bool { return d.Type == r.Type })
			if i < 0 {
				t.Fatalf("there is no scaler type %q", r.Type)
			}
			r.compare(t, defs[i])
		})
	}
}

func (r answer) compare(t *testing.T, d *scalers.Definition) {
	t.Helper()
	if r.MetricType == "Utilization" && !d.ReadByHPA {
		return // refused for all scalers alike, before one is asked
	}
	trigger, _, err := d.Parse(param.Values{
		Metadata: r.Metadata, Auth: r.AuthParams, Env: r.Env, Namespace: r.Namespace,
		Identity: param.Identity{Provider: r.PodIdentity}, MetricType: r.MetricType,
	})
	if (err == nil) != (r.Expect == "ok") {
		t.Fatalf("error %v, want %s", err, r.Expect)
	}
	if err != nil || d.ReadByHPA || d.NamesMetrics {
		return // the HPA or the upstream says the rest
	}
	if got := trigger.MetricName(r.TriggerIndex); got != r.MetricName {
		t.Errorf("metric name %q, want %q", got, r.MetricName)
	}
	want, err := quantity(r.Target)
	if err != nil || max(0, trigger.Target) != max(0, want) {
		t.Errorf("target %v, want %s", trigger.Target, r.Target)
	}
}

// quantity reads a target as the HPA has it: "5", "0.25" or "250m".
func quantity(s string) (float64, error) {
	digits, milli := strings.CutSuffix(s, "m")
	v, err := strconv.ParseFloat(digits, 64)
	if milli {
		v /= 1000
	}
	return v, err
}
