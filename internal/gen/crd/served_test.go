package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// crdDir holds the definitions as users install them.
const crdDir = "../../../deploy/crds"

func plurals() map[string]string {
	return map[string]string{
		"ScaledObject":                 "scaledobjects",
		"ScaledJob":                    "scaledjobs",
		"TriggerAuthentication":        "triggerauthentications",
		"ClusterTriggerAuthentication": "clustertriggerauthentications",
	}
}

// definition reads the installed definition of kind, and its size in bytes.
func definition(t *testing.T, kind string) (*apiextensionsv1.CustomResourceDefinition, int) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(crdDir, "keda.sh_"+plurals()[kind]+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(raw, &crd); err != nil {
		t.Fatal(err)
	}
	return &crd, len(raw)
}

// internal converts crd to the form the API server works with.
func internal(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition) *apiextensions.CustomResourceDefinition {
	t.Helper()
	defaulted := crd.DeepCopy()
	apiextensionsv1.SetObjectDefaults_CustomResourceDefinition(defaulted)
	var out apiextensions.CustomResourceDefinition
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(defaulted, &out, nil); err != nil {
		t.Fatal(err)
	}
	return &out
}

// served is one kind as the API server serves it.
type served struct {
	schema *structuralschema.Structural
	values validation.SchemaValidator
	rules  *cel.Validator
}

func serve(t *testing.T, kind string) served {
	t.Helper()
	crd, _ := definition(t, kind)
	schema, err := apiextensions.GetSchemaForVersion(internal(t, crd), "v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	s, err := structuralschema.NewStructural(schema.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	values, _, err := validation.NewSchemaValidator(schema.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	return served{schema: s, values: values, rules: cel.NewValidator(s, true, celconfig.PerCallLimit)}
}

// admit treats obj as the API server treats an object on creation: it prunes
// unknown fields, applies defaults, and checks values, lists and rules. It
// returns the paths of unknown fields and what is wrong, one problem a
// line, sorted.
func (s served) admit(t *testing.T, obj map[string]any) (unknown []string, problems string) {
	t.Helper()
	unknown = pruning.PruneWithOptions(obj, s.schema, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, s.schema)
	defaulting.Default(obj, s.schema)

	var errs field.ErrorList
	errs = append(errs, validation.ValidateCustomResource(nil, obj, s.values)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.schema, obj)...)
	if len(errs) == 0 {
		broken, _ := s.rules.Validate(t.Context(), nil, s.schema, obj, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, broken...)
	}
	lines := make([]string, 0, len(errs))
	for _, err := range errs {
		lines = append(lines, err.Error())
	}
	slices.Sort(lines) // the schema is checked in the order of a map
	return unknown, strings.Join(lines, "\n")
}

// fullObject reads the object in testdata that sets every field of its kind.
func fullObject(t *testing.T, kind string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(strings.TrimPrefix(kind, "Cluster"))+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// decode reads one object, with whole numbers as int64, as the API server has them.
func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSONStrict(raw)
	if err != nil {
		t.Fatal(err)
	}
	var obj map[string]any
	if err := utiljson.Unmarshal(data, &obj); err != nil {
		t.Fatal(err)
	}
	return obj
}
