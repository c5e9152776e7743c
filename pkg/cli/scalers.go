package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func scalersCommand(c Config) *cobra.Command {
	return &cobra.Command{
		Use:   "scalers [TYPE]",
		Short: "List the scalers, or describe one",
		Long: `Scalers lists the types of triggers there are. With a type it describes that one:
what it measures, its parameters with the places each may come from in the order
they are tried, and manifests to start from.`,
		Example: `  # Which types are there?
  weir scalers

  # Which parameters does this one take?
  weir scalers redis`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misuse(cmd, "at most one type can be described")
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completions(c.Registry, typed), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return list(cmd.OutOrStdout(), c.Registry)
			}
			def, err := c.Registry.Find(args[0])
			if err != nil {
				return misused(cmd, err)
			}
			page, err := describe(def)
			if err != nil {
				return err
			}
			return write(cmd.OutOrStdout(), page)
		},
	}
}

// definitionsOf returns all scalers, sorted by type.
func definitionsOf(r *scalers.Registry) ([]*scalers.Definition, error) {
	var all []*scalers.Definition
	for _, t := range r.Types() {
		def, err := r.Find(t)
		if err != nil {
			return nil, err
		}
		all = append(all, def)
	}
	return all, nil
}

func completions(r *scalers.Registry, typed string) []cobra.Completion {
	all, err := definitionsOf(r)
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, def := range all {
		if strings.HasPrefix(def.Type, typed) {
			out = append(out, cobra.CompletionWithDesc(def.Type, def.Summary))
		}
	}
	return out
}

// write prints text to out.
func write(out io.Writer, text string) error {
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// list prints one line per scaler.
func list(out io.Writer, r *scalers.Registry) error {
	all, err := definitionsOf(r)
	if err != nil {
		return err
	}
	rows := [][]string{{"TYPE", "SUMMARY"}}
	for _, def := range all {
		rows = append(rows, []string{def.Type, def.Summary})
	}
	text, err := columns("", rows)
	if err != nil {
		return err
	}
	return write(out, text)
}

// columns aligns rows, each after the indent.
func columns(indent string, rows [][]string) (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, indent+strings.Join(row, "\t")); err != nil {
			return "", fmt.Errorf("aligning columns: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return "", fmt.Errorf("aligning columns: %w", err)
	}
	return b.String(), nil
}

// describe is the page of one scaler.
func describe(def *scalers.Definition) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", def.Type, def.Summary)
	for _, s := range []struct{ title, text string }{
		{"What is measured", def.Page.Measures},
		{"Permissions", def.Page.Permissions},
		{"Cost", def.Page.Batching},
		{"Failures", def.Page.Failures},
	} {
		if s.text != "" {
			fmt.Fprintf(&b, "\n%s\n%s\n", s.title, wrap(s.text, "  "))
		}
	}
	b.WriteString("\nParameters\n")
	rows := [][]string{{"NAME", "KIND", "DEFAULT", "FROM"}}
	for _, i := range def.Params {
		rows = append(rows, []string{i.Name, kindOf(i), fallback(i), places(i)})
	}
	table, err := columns("  ", rows)
	if err != nil {
		return "", err
	}
	b.WriteString(table)
	for _, i := range def.Params {
		fmt.Fprintf(&b, "\n  %s\n%s\n", i.Name, wrap(explanation(i), "    "))
	}
	for _, e := range def.Examples {
		sample, err := sample(def, e)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\nExample: %s\n\n%s", e.Title, indented(sample, "  "))
	}
	return b.String(), nil
}

func kindOf(i param.Info) string {
	if len(i.OneOf) > 0 {
		return strings.Join(i.OneOf, "|")
	}
	return string(i.Kind)
}

func fallback(i param.Info) string {
	if i.Required {
		return "(required)"
	}
	return cmp.Or(i.Default, "-")
}

// places lists where a parameter may come from, in the order they are tried.
func places(i param.Info) string {
	out := make([]string, len(i.From))
	for k, p := range i.From {
		out[k] = p.String()
	}
	return strings.Join(out, ", ")
}

// explanation is a parameter's text.
func explanation(i param.Info) string {
	doc := i.Doc
	if len(i.Aliases) > 0 {
		doc += " Also called " + strings.Join(i.Aliases, ", ") + "."
	}
	if i.Deprecated != "" {
		doc += " Deprecated: " + i.Deprecated + "."
	}
	return doc
}

// wrap breaks text into lines of at most 80 columns, each after the indent.
func wrap(text, indent string) string {
	const width = 80
	var b strings.Builder
	for n, paragraph := range strings.Split(text, "\n\n") {
		if n > 0 {
			b.WriteString("\n\n")
		}
		column := 0
		for word := range strings.FieldsSeq(paragraph) {
			switch {
			case column == 0:
				b.WriteString(indent + word)
				column = len(indent) + len(word)
			case column+1+len(word) > width:
				b.WriteString("\n" + indent + word)
				column = len(indent) + len(word)
			default:
				b.WriteString(" " + word)
				column += 1 + len(word)
			}
		}
	}
	return b.String()
}

// indented puts the indent before each line that is not empty.
func indented(text, indent string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(indent)
		}
		b.WriteString(line)
	}
	return b.String()
}

// sample makes a manifest of an example.
func sample(def *scalers.Definition, e scalers.Example) (string, error) {
	type object map[string]any
	typ := def.Type
	trigger := object{"type": typ, "metadata": e.Metadata}
	name := typ + "-credentials"
	auth := object{}
	if e.Identity != "" {
		auth["podIdentity"] = object{"provider": e.Identity}
	}
	if len(e.Auth) > 0 || e.Identity != "" {
		trigger["authenticationRef"] = object{"name": name}
	}
	if e.MetricType != "" {
		trigger["metricType"] = e.MetricType
	}
	spec := object{"scaleTargetRef": object{"name": "worker"}, "triggers": []object{trigger}}
	if def.ReadByHPA {
		spec["minReplicaCount"] = 1 // nothing would wake the workload
	}
	docs := []object{{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": object{"name": "worker"}, "spec": spec}}
	if len(e.Auth) > 0 {
		var refs []object
		for _, k := range slices.Sorted(maps.Keys(e.Auth)) {
			refs = append(refs, object{"parameter": k, "name": name, "key": k})
		}
		auth["secretTargetRef"] = refs
	}
	if len(auth) > 0 {
		docs = append(docs, object{"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": object{"name": name}, "spec": auth})
	}
	if len(e.Auth) > 0 {
		docs = append(docs, object{"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": name}, "stringData": e.Auth})
	}
	out := make([]string, len(docs))
	for i, d := range docs {
		raw, err := yaml.Marshal(d)
		if err != nil {
			return "", fmt.Errorf("writing an example: %w", err)
		}
		out[i] = string(raw)
	}
	return strings.Join(out, "---\n"), nil
}
