package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	apiextensionsvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"sigs.k8s.io/yaml"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func TestTheAPIServerAcceptsEveryDefinition(t *testing.T) {
	t.Parallel()
	for kind := range plurals() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			crd, size := definition(t, kind)
			in := internal(t, crd)
			in.Status.StoredVersions = []string{"v1alpha1"} // as the API server sets it on creation
			for _, err := range apiextensionsvalidation.ValidateCustomResourceDefinition(t.Context(), in) {
				t.Error(err)
			}
			if size >= maxSize {
				t.Errorf("%d bytes: plain kubectl apply needs fewer than %d", size, maxSize)
			}
			if crd.Spec.PreserveUnknownFields {
				t.Error("unknown fields are kept")
			}
		})
	}
}

func TestNamesAndColumnsAreTheOnesUsersKnow(t *testing.T) {
	t.Parallel()
	authColumns := []string{
		"PodIdentity .spec.podIdentity.provider",
		"Secret .spec.secretTargetRef[*].name",
		"Env .spec.env[*].name",
		"VaultAddress .spec.hashiCorpVault.address",
		"ScaledObjects .status.scaledobjects priority=1",
		"ScaledJobs .status.scaledjobs priority=1",
	}
	condition := func(c string) string { return fmt.Sprintf(`%s .status.conditions[?(@.type==%q)].status`, c, c) }
	for _, tc := range []struct {
		kind, scope string
		short       []string
		columns     []string
	}{
		{"ScaledObject", "Namespaced", []string{"so"}, []string{
			"ScaleTargetKind .status.scaleTargetKind",
			"ScaleTargetName .spec.scaleTargetRef.name",
			"Min .spec.minReplicaCount",
			"Max .spec.maxReplicaCount",
			condition("Ready"),
			condition("Active"),
			condition("Fallback"),
			condition("Paused"),
			"Triggers .status.triggersTypes",
			"Authentications .status.authenticationsTypes",
			"Age .metadata.creationTimestamp",
		}},
		{"ScaledJob", "Namespaced", []string{"sj"}, []string{
			"Min .spec.minReplicaCount",
			"Max .spec.maxReplicaCount",
			condition("Ready"),
			condition("Active"),
			condition("Paused"),
			"Triggers .status.triggersTypes",
			"Authentications .status.authenticationsTypes",
			"Age .metadata.creationTimestamp",
		}},
		{"TriggerAuthentication", "Namespaced", []string{"ta", "triggerauth"}, authColumns},
		{
			"ClusterTriggerAuthentication", "Cluster",
			[]string{"cta", "clustertriggerauth"},
			slices.Insert(slices.Clone(authColumns), 3, "FilePath .spec.filePath"),
		},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			t.Parallel()
			crd, _ := definition(t, tc.kind)
			names := crd.Spec.Names
			if names.Kind != tc.kind || names.Plural != plurals()[tc.kind] || string(crd.Spec.Scope) != tc.scope || len(names.Categories) != 0 {
				t.Errorf("names %+v, scope %s", names, crd.Spec.Scope)
			}
			if !slices.Equal(names.ShortNames, tc.short) {
				t.Errorf("short names %q, want %q", names.ShortNames, tc.short)
			}
			if len(crd.Spec.Versions) != 1 {
				t.Fatalf("%d versions, want 1", len(crd.Spec.Versions))
			}
			v := crd.Spec.Versions[0]
			if v.Name != "v1alpha1" || !v.Served || !v.Storage || v.Subresources == nil || v.Subresources.Status == nil || v.Subresources.Scale != nil {
				t.Errorf("version %s: served %t, storage %t, subresources %+v", v.Name, v.Served, v.Storage, v.Subresources)
			}
			var columns []string
			for _, c := range v.AdditionalPrinterColumns {
				column := c.Name + " " + c.JSONPath
				if c.Priority != 0 {
					column += fmt.Sprintf(" priority=%d", c.Priority)
				}
				columns = append(columns, column)
			}
			if !slices.Equal(columns, tc.columns) {
				t.Errorf("columns\n%s\nwant\n%s", strings.Join(columns, "\n"), strings.Join(tc.columns, "\n"))
			}
		})
	}
}

// The golden files list every field with everything the API server checks about
// it, so that no change of the API goes unseen. Run with -update after a change
// that is meant. Both authentication kinds have the same shape.
func TestTheShapeOfEveryKindIsTheOneOnRecord(t *testing.T) {
	t.Parallel()
	for kind, plural := range plurals() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			crd, _ := definition(t, kind)
			lines := []string{}
			shape(&lines, "", crd.Spec.Versions[0].Schema.OpenAPIV3Schema)
			got := []byte(strings.Join(lines, "\n") + "\n")
			golden := filepath.Join("testdata", strings.TrimPrefix(plural, "cluster")+".golden")
			if *update && !strings.HasPrefix(plural, "cluster") {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("shape differs from %s:\n%s", golden, got)
			}
		})
	}
}

// shape appends a line for s, and one for each field below it. It stops at
// jobTargetRef, whose fields are those of Kubernetes.
func shape(lines *[]string, path string, s *schema) {
	line := path + " " + s.Type
	note := func(format string, arg any) { line += fmt.Sprintf(format, arg) }
	if s.Default != nil {
		note(" default=%s", s.Default.Raw)
	}
	if s.Minimum != nil {
		note(" min=%v", *s.Minimum)
	}
	if s.Maximum != nil {
		note(" max=%v", *s.Maximum)
	}
	if s.MinLength != nil {
		note(" minLength=%d", *s.MinLength)
	}
	if s.MinItems != nil {
		note(" minItems=%d", *s.MinItems)
	}
	for _, e := range s.Enum {
		note(" enum=%s", e.Raw)
	}
	if len(s.Required) > 0 {
		note(" required=%s", strings.Join(s.Required, ","))
	}
	if s.XListType != nil {
		note(" list=%s", strings.Join(append([]string{*s.XListType}, s.XListMapKeys...), ":"))
	}
	for _, r := range s.XValidations {
		note(" rule=%q", r.Rule)
	}
	*lines = append(*lines, strings.TrimSpace(line))
	if strings.HasSuffix(path, ".jobTargetRef") {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		shape(lines, path+"."+name, &p)
	}
	if s.Items != nil {
		shape(lines, path+"[]", s.Items.Schema)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		shape(lines, path+"{}", s.AdditionalProperties.Schema)
	}
}

// Each manifest in testdata sets every field of its kind. Go and the schema must
// both know all of them by the same name.
func TestEveryFieldSurvivesGoAndTheAPIServer(t *testing.T) {
	t.Parallel()
	for kind, into := range map[string]any{
		"ScaledObject":                 &v1alpha1.ScaledObject{},
		"ScaledJob":                    &v1alpha1.ScaledJob{},
		"TriggerAuthentication":        &v1alpha1.TriggerAuthentication{},
		"ClusterTriggerAuthentication": &v1alpha1.ClusterTriggerAuthentication{},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			raw := fullObject(t, kind)
			if err := yaml.UnmarshalStrict(raw, into); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(into)
			if err != nil {
				t.Fatal(err)
			}
			want := decode(t, raw)
			if got := decode(t, again); !reflect.DeepEqual(got, want) {
				t.Errorf("through Go:\n%v\nwant\n%v", got, want)
			}
			admitted := decode(t, raw)
			unknown, problems := serve(t, kind).admit(t, admitted)
			if len(unknown) > 0 || problems != "" {
				t.Errorf("unknown %q, problems:\n%s", unknown, problems)
			}
			if !reflect.DeepEqual(admitted, want) {
				t.Errorf("through the API server:\n%v\nwant\n%v", admitted, want)
			}
		})
	}
}

// kubectl explain shows these texts. Only the pod template goes without, for size.
func TestEveryFieldIsDescribedInSentences(t *testing.T) {
	t.Parallel()
	for kind := range plurals() {
		crd, _ := definition(t, kind)
		root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		for _, name := range []string{"apiVersion", "kind", "metadata"} {
			delete(root.Properties, name)
		}
		described(t, kind, root)
	}
}

func described(t *testing.T, path string, s *schema) {
	t.Helper()
	if strings.HasSuffix(path, ".jobTargetRef.template") || strings.HasSuffix(path, ".behavior.scaleUp") || strings.HasSuffix(path, ".behavior.scaleDown") {
		return // Kubernetes' own
	}
	if !strings.HasSuffix(path, "]") && !strings.HasSuffix(path, "}") && s.Description == "" {
		t.Errorf("%s has no description", path)
	}
	if !strings.Contains(path, ".jobTargetRef") && s.Description != "" && !strings.HasSuffix(s.Description, ".") {
		t.Errorf("%s: description does not end with a full stop: %s", path, s.Description)
	}
	for name, p := range s.Properties {
		described(t, path+"."+name, &p)
	}
	if s.Items != nil {
		described(t, path+"[]", s.Items.Schema)
	}
}
