package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-sh/weir/pkg/scalers"
)

// manifest writes an example as the documents a user would apply.
func manifest(d *scalers.Definition, e scalers.Example) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: worker
spec:
  scaleTargetRef:
    name: worker # a Deployment
%s  maxReplicaCount: 20
  triggers:
    - type: %s
      metadata:
`, least(d), d.Type)
	entries(&b, "        ", d, e.Metadata)
	if e.MetricType != "" {
		fmt.Fprintf(&b, "      metricType: %s\n", e.MetricType)
	}
	if len(e.Auth) == 0 && e.Identity == "" {
		return b.String()
	}
	fmt.Fprintf(&b, `      authenticationRef:
        name: %[1]s
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: %[1]s
spec:
`, d.Type)
	if e.Identity != "" {
		fmt.Fprintf(&b, "  podIdentity:\n    provider: %s\n", e.Identity)
	}
	if len(e.Auth) == 0 {
		return b.String()
	}
	b.WriteString("  secretTargetRef:\n")
	for _, name := range ordered(d, e.Auth) {
		fmt.Fprintf(&b, "    - {parameter: %[1]s, name: %[2]s, key: %[1]s}\n", name, d.Type)
	}
	fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\nstringData:\n", d.Type)
	entries(&b, "  ", d, e.Auth)
	return b.String()
}

// least is the minimum of an object that has only triggers which the HPA reads
// itself: at zero there would be nothing to read.
func least(d *scalers.Definition) string {
	if d.ReadByHPA {
		return "  minReplicaCount: 1\n"
	}
	return ""
}

// entries writes a mapping of strings, always quoted: a bare true or 5 would be
// no string.
func entries(b *strings.Builder, indent string, d *scalers.Definition, m map[string]string) {
	for _, name := range ordered(d, m) {
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, quote(m[name]))
	}
}

// quote writes s as JSON, which is YAML too.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(fmt.Sprintf("encoding a string: %v", err)) // cannot happen: every string has a JSON form
	}
	return strings.TrimSpace(b.String())
}

// ordered returns m's keys in the order in which the scaler declares its
// parameters, then all others sorted.
func ordered(d *scalers.Definition, m map[string]string) []string {
	var out []string
	for _, p := range d.Params {
		for _, n := range append([]string{p.Name}, p.Aliases...) {
			for _, n := range []string{n, n + "FromEnv"} {
				if _, ok := m[n]; ok {
					out = append(out, n)
				}
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
