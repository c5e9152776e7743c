package main

import (
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// table writes the fields of a spec, without those below them.
func table(b *strings.Builder, fs []field) {
	b.WriteString("\n| Field | Type | Default | Limits | Meaning |\n|---|---|---|---|---|\n")
	for _, f := range fs {
		row(b, f)
	}
}

func row(b *strings.Builder, f field) {
	preset := ""
	switch {
	case f.preset != "":
		preset = code(f.preset)
	case f.required:
		preset = "**required**"
	}
	text := f.text
	if len(f.below) > 0 && strings.Count(f.path, ".") == 1 {
		name := strings.TrimPrefix(f.path, "spec.")
		text += fmt.Sprintf(" See [%s](#%s).", name, strings.ToLower(name))
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", strings.TrimPrefix(f.path, "spec."), typeOf(f.schema), preset, cell(limits(f.schema)), cell(text))
}

// nested writes a section with everything below a field of the spec.
func nested(b *strings.Builder, f field) {
	if len(f.below) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n", strings.TrimPrefix(f.path, "spec."), f.text)
	b.WriteString("\n| Field | Type | Default | Limits | Meaning |\n|---|---|---|---|---|\n")
	deep(f.below, func(f field) { row(b, f) })
}

// deep visits fields and everything below them, in order.
func deep(fs []field, visit func(field)) {
	for _, f := range fs {
		visit(f)
		deep(f.below, visit)
	}
}

// rules writes what the API server checks of several fields together.
func rules(b *strings.Builder, s schema) {
	for _, v := range s.XValidations {
		fmt.Fprintf(b, "\nThe API server checks: %s.\n", v.Message)
	}
}

func statusTable(b *strings.Builder, fs []field) {
	b.WriteString("\n| Field | Type | Meaning |\n|---|---|---|\n")
	deep(fs, func(f field) {
		text := f.text
		if one := limits(f.schema); one != "" {
			text += " " + strings.ToUpper(one[:1]) + one[1:] + "."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", strings.TrimPrefix(f.path, "status."), typeOf(f.schema), cell(text))
	})
}

// columns writes what kubectl get prints.
func columns(b *strings.Builder, cs []apiextensionsv1.CustomResourceColumnDefinition) {
	b.WriteString("\n## Columns of kubectl get\n\n| Column | Shows | |\n|---|---|---|\n")
	for _, c := range cs {
		wide := ""
		if c.Priority > 0 {
			wide = "with `-o wide`"
		}
		fmt.Fprintf(b, "| %s | `%s` | %s |\n", strings.ToUpper(c.Name), strings.ReplaceAll(c.JSONPath, "|", `\|`), wide)
	}
}

// seeAlso ends the page of a kind.
func seeAlso(name string) string {
	switch name {
	case v1alpha1.KindScaledObject:
		return `
## See also

- [Concepts](../concepts.md): what these fields do together, and when
- [Annotations and labels](annotations.md): pausing, forced activation, taking over an HPA
- [Scalers](../scalers/index.md): types of triggers and their parameters
`
	case v1alpha1.KindScaledJob:
		return `
## See also

- [Concepts](../concepts.md#scaledjobs): how the number of Jobs is computed
- [JobSpec](https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/#JobSpec) of Kubernetes: what ` + "`jobTargetRef`" + ` may hold
- [Annotations and labels](annotations.md)
- [Scalers](../scalers/index.md): types of triggers and their parameters
`
	}
	return `
## See also

- [Authentication](../authentication.md): the order of sources, identities, rights, and when a change takes effect
- [Scalers](../scalers/index.md): the parameters that triggers of each type take
`
}
