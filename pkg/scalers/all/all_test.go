package all_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/all"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func TestEveryScalerKeepsItsPromises(t *testing.T) {
	for _, d := range all.Scalers() {
		t.Run(d.Type, func(t *testing.T) {
			t.Parallel()
			scalertest.Describe(t, d)
		})
	}
}

func TestTypesAreSortedAndUnique(t *testing.T) {
	list := all.Scalers()
	if len(list) == 0 {
		t.Fatal("there is no scaler")
	}
	registry, err := scalers.NewRegistry(list...)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, d := range list {
		types = append(types, d.Type)
	}
	if !slices.Equal(types, registry.Types()) {
		t.Errorf("the types are not sorted: %v", types)
	}
}

// TestNamesUsersDependOn keeps parameter names, places and defaults and the shapes
// of metric names in a file, so that a change shows in review.
func TestNamesUsersDependOn(t *testing.T) {
	const path = "testdata/parameters.golden"
	var b strings.Builder
	for _, d := range all.Scalers() {
		fmt.Fprintf(&b, "%s\n", d.Type)
		for _, e := range d.Examples {
			trigger, _, err := d.Parse(e.Values())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "  %s: %s target %v activation %v\n", e.Title, trigger.MetricName(0), trigger.Target, trigger.Activation)
		}
		for _, p := range d.Params {
			fmt.Fprintf(&b, "  - %s %s from %v%s\n", strings.Join(append([]string{p.Name}, p.Aliases...), " or "), p.Kind, p.From, rest(p))
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("names or defaults that users' manifests and dashboards hold have changed; if that is meant, run with -update\n%s", firstDifference(b.String(), string(want)))
	}
}

// rest names what else of p a manifest depends on.
func rest(p param.Info) string {
	out := ""
	if p.Required {
		out += " required"
	}
	if p.Default != "" {
		out += " default " + p.Default
	}
	if len(p.OneOf) > 0 {
		out += fmt.Sprintf(" one of %v", p.OneOf)
	}
	if p.Deprecated != "" {
		out += " deprecated"
	}
	return out
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d: got  %s\n         want %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}
