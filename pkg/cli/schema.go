package cli

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/deploy/crds"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/triggers"
)

// definition checks objects of one kind as the API server would. Rules in CEL
// are left out: package triggers has the same ones.
type definition struct {
	schema    *schema.Structural
	validator validation.SchemaValidator
}

// definitions loads each kind's definition once, when it is first needed.
type definitions map[string]*definition

// of returns the definition of a kind of keda.sh/v1alpha1. An error is a bug in
// the program.
func (d definitions) of(kind string) (*definition, error) {
	if d[kind] != nil {
		return d[kind], nil
	}
	def, err := loadDefinition(kind)
	if err != nil {
		return nil, fmt.Errorf("loading the CustomResourceDefinition of %s: %w", kind, err)
	}
	d[kind] = def
	return def, nil
}

func loadDefinition(kind string) (*definition, error) {
	raw, err := crds.Files.ReadFile("keda.sh_" + strings.ToLower(kind) + "s.yaml")
	if err != nil {
		return nil, err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(raw, &crd); err != nil {
		return nil, err
	}
	var props apiextensions.JSONSchemaProps
	err = apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil)
	if err != nil {
		return nil, err
	}
	var def definition
	if def.schema, err = schema.NewStructural(&props); err != nil {
		return nil, err
	}
	if def.validator, _, err = validation.NewSchemaValidator(&props); err != nil {
		return nil, err
	}
	return &def, nil
}

// check returns what is wrong with an object, and the fields that the API server
// would drop. The object is not changed.
func (d *definition) check(kind string, object map[string]any) (problems, warnings []triggers.Problem) {
	refusals := validation.ValidateCustomResource(nil, object, d.validator)
	slices.SortStableFunc(refusals, func(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) })
	for _, e := range refusals {
		problems = append(problems, triggers.Problem{Trigger: -1, Field: e.Field, Message: refusal(e)})
	}
	pruned := runtime.DeepCopyJSON(object)
	unknown := pruning.PruneWithOptions(pruned, d.schema, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	slices.Sort(unknown)
	for _, path := range unknown {
		message := "is not a field of " + kind + " and is ignored"
		if near := d.near(path); near != "" {
			message += fmt.Sprintf("; did you mean %q?", near)
		}
		warnings = append(warnings, triggers.Problem{Trigger: -1, Field: path, Message: message})
	}
	return problems, warnings
}

// near returns the field most like the last one of path, among those that may
// stand there.
func (d *definition) near(path string) string {
	steps := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) })
	if len(steps) == 0 {
		return ""
	}
	at := d.schema
	for _, step := range steps[:len(steps)-1] {
		next, ok := at.Properties[step]
		switch {
		case ok:
			at = &next
		case at.Items != nil:
			at = at.Items
		case at.AdditionalProperties != nil && at.AdditionalProperties.Structural != nil:
			at = at.AdditionalProperties.Structural
		default:
			return ""
		}
	}
	var names []string
	for name := range at.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return param.Closest(steps[len(steps)-1], names)
}

// refusal puts the API server's reason in the words used everywhere else, and
// without the value.
func refusal(e *field.Error) string {
	switch e.Type {
	case field.ErrorTypeRequired:
		return "is required"
	case field.ErrorTypeNotSupported:
		return "must be one of " + strings.ReplaceAll(strings.TrimPrefix(e.Detail, "supported values: "), `"`, "")
	case field.ErrorTypeTypeInvalid:
		_, kind, _ := strings.Cut(e.Detail, " must be of type ")
		kind, _, _ = strings.Cut(kind, ":")
		if kind == "string" {
			return mustBeString
		}
		return "must be of type " + kind
	default:
		if _, rule, ok := strings.Cut(e.Detail, " in body should "); ok {
			return "must " + strings.NewReplacer(" 1 items", " 1 item", " 1 chars", " 1 character").Replace(rule)
		}
		return e.Detail
	}
}

const mustBeString = "must be a string; put quotes around it"
