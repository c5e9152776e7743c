package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/deploy/crds"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

type schema = apiextensionsv1.JSONSchemaProps

// kind is a kind of the API.
type kind struct {
	name         string
	spec, status reflect.Type
	// defaults are what holds when a field is unset, by path below spec.
	defaults map[string]string
}

func kinds() []kind {
	auth := reflect.TypeFor[v1alpha1.TriggerAuthenticationSpec]()
	users := reflect.TypeFor[v1alpha1.TriggerAuthenticationStatus]()
	return []kind{
		{
			v1alpha1.KindScaledObject,
			reflect.TypeFor[v1alpha1.ScaledObjectSpec](), reflect.TypeFor[v1alpha1.ScaledObjectStatus](), scaledObjectDefaults(),
		},
		{
			v1alpha1.KindScaledJob,
			reflect.TypeFor[v1alpha1.ScaledJobSpec](), reflect.TypeFor[v1alpha1.ScaledJobStatus](), scaledJobDefaults(),
		},
		{v1alpha1.KindTriggerAuthentication, auth, users, authenticationDefaults()},
		{v1alpha1.KindClusterTriggerAuthentication, auth, users, authenticationDefaults()},
	}
}

// field is one field of a kind.
type field struct {
	path     string // from the object's root, such as "spec.triggers[].type"
	schema   *schema
	required bool
	preset   string // what holds when it is unset; may be empty
	text     string
	below    []field
}

// definition reads the CustomResourceDefinition of k.
func (k kind) definition() (*apiextensionsv1.CustomResourceDefinition, error) {
	raw, err := crds.Files.ReadFile("keda.sh_" + strings.ToLower(k.name) + "s.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading its definition: %w", err)
	}
	crd := new(apiextensionsv1.CustomResourceDefinition)
	if err := yaml.UnmarshalStrict(raw, crd); err != nil {
		return nil, fmt.Errorf("reading its definition: %w", err)
	}
	return crd, nil
}

// kindPage is the page of one kind.
func kindPage(k kind) (string, error) {
	crd, err := k.definition()
	if err != nil {
		return "", err
	}
	version := crd.Spec.Versions[0]
	root := version.Schema.OpenAPIV3Schema
	unused := maps.Clone(k.defaults)
	spec, err := fields("spec", root.Properties["spec"], k.spec, unused)
	if err != nil {
		return "", err
	}
	status, err := fields("status", root.Properties["status"], k.status, unused)
	if err != nil {
		return "", err
	}
	if len(unused) > 0 {
		return "", fmt.Errorf("no such fields, or fields with a default of their own: %q; adapt the defaults in this program", slices.Sorted(maps.Keys(unused)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s# %s\n\n%s\n\n", header, k.name, oneLine(root.Description))
	fmt.Fprintf(&b, "| | |\n|---|---|\n| API version | `keda.sh/%s` |\n| Scope | %s |\n| Names for kubectl | %s |\n| Subresources | %s |\n",
		version.Name, crd.Spec.Scope, codes(append([]string{crd.Spec.Names.Plural, crd.Spec.Names.Singular}, crd.Spec.Names.ShortNames...)), subresources(version))
	fmt.Fprintf(&b, "\n## Spec\n\n%s\n", oneLine(root.Properties["spec"].Description))
	table(&b, spec)
	rules(&b, root.Properties["spec"])
	for _, f := range spec {
		nested(&b, f)
	}
	fmt.Fprintf(&b, "\n## Status\n\n%s\n", oneLine(root.Properties["status"].Description))
	statusTable(&b, status)
	if slices.ContainsFunc(status, func(f field) bool { return f.path == "status.conditions" }) {
		b.WriteString("\n[Conditions](conditions.md) lists types and reasons, [events](events.md) what is told beside them.\n")
	}
	columns(&b, version.AdditionalPrinterColumns)
	b.WriteString(seeAlso(k.name))
	return b.String(), nil
}

func subresources(v apiextensionsv1.CustomResourceDefinitionVersion) string {
	if v.Subresources != nil && v.Subresources.Status != nil {
		return "`status`"
	}
	return "none"
}

// fields returns the fields of s, whose Go type is t, in the order of t. Defaults
// that were used are removed from presets. A field of s that t has not is an error.
func fields(path string, s schema, t reflect.Type, presets map[string]string) ([]field, error) {
	var out []field
	var errs []error
	seen := map[string]bool{}
	for _, name := range order(t) {
		p, ok := s.Properties[name.json]
		if !ok {
			continue // taken out of the definition on purpose
		}
		seen[name.json] = true
		f, err := one(path+"."+name.json, p, name.of, presets)
		f.required = slices.Contains(s.Required, name.json)
		out, errs = append(out, f), append(errs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if !seen[name] {
			errs = append(errs, fmt.Errorf("the definition has a field %s.%s, the Go type %v has not; run make generate", path, name, t))
		}
	}
	return out, errors.Join(errs...)
}

// one describes the field at path.
func one(path string, s schema, t reflect.Type, presets map[string]string) (field, error) {
	f := field{path: path, schema: &s, text: cmp.Or(borrowed(path), oneLine(s.Description))}
	key := strings.TrimPrefix(path, "spec.")
	f.preset = presets[key]
	delete(presets, key)
	if s.Default != nil {
		var v any
		if err := yaml.Unmarshal(s.Default.Raw, &v); err != nil {
			return f, fmt.Errorf("reading the default of %s: %w", path, err)
		}
		f.preset = fmt.Sprint(v)
	}
	if f.text == "" {
		return f, fmt.Errorf("%s has no description; write a comment at its Go field", path)
	}
	if path == "spec.jobTargetRef" {
		return f, nil // Kubernetes documents a Job
	}
	inner, suffix := &s, ""
	switch {
	case s.Items != nil:
		inner, suffix = s.Items.Schema, "[]"
	case s.AdditionalProperties != nil:
		inner, suffix = s.AdditionalProperties.Schema, ".*"
	}
	if len(inner.Properties) == 0 {
		return f, nil
	}
	var err error
	f.below, err = fields(path+suffix, *inner, t, presets)
	return f, err
}

// named is a field of a Go struct by its name in JSON, with the type of its
// innermost elements.
type named struct {
	json string
	of   reflect.Type
}

// order returns the fields of t, a struct, in their order.
func order(t reflect.Type) []named {
	var out []named
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, named{name, f.Type})
	}
	return out
}

// typeOf is the type of s in words.
func typeOf(s *schema) string {
	switch {
	case s.Items != nil:
		return "list of " + plural(typeOf(s.Items.Schema))
	case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		return "map of " + plural(typeOf(s.AdditionalProperties.Schema))
	case len(s.AnyOf) > 0:
		return "quantity"
	case s.Format == "date-time":
		return "time"
	}
	return s.Type
}

func plural(name string) string {
	if word, rest, ok := strings.Cut(name, " "); ok {
		return word + "s " + rest
	}
	return name + "s"
}

// limits are the limits of s in words.
func limits(s *schema) string {
	var out []string
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			if text, err := strconv.Unquote(string(v.Raw)); err == nil && text != "" {
				values = append(values, text)
			}
		}
		out = append(out, cmp.Or(map[bool]string{true: "only "}[len(values) == 1], "one of ")+codes(values))
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		out = append(out, fmt.Sprintf("%g to %g", *s.Minimum, *s.Maximum))
	case s.Minimum != nil:
		out = append(out, fmt.Sprintf("at least %g", *s.Minimum))
	}
	if s.MinLength != nil {
		out = append(out, "not empty")
	}
	if s.MinItems != nil {
		out = append(out, fmt.Sprintf("at least %d", *s.MinItems))
	}
	return strings.Join(out, "; ")
}

func codes(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }
