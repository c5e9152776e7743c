package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// vector is one known answer to what a trigger comes to.
type vector struct {
	ID           string            `json:"id"`
	Type         string            `json:"type"`
	Metadata     map[string]string `json:"metadata"`
	AuthParams   map[string]string `json:"authParams"`
	Env          map[string]string `json:"env"`
	PodIdentity  string            `json:"podIdentity"`
	MetricType   string            `json:"metricType"`
	TriggerIndex int               `json:"triggerIndex"`
	FormulaInput bool              `json:"formulaInput"`
	Namespace    string            `json:"namespace"`
	Expect       string            `json:"expect"`
	Note         string            `json:"note"`
	MetricName   string            `json:"metricName"`
	TargetType   string            `json:"targetType"`
	Target       string            `json:"target"`
}

type object map[string]any

// manifests are what a user would have written for the vector.
func (v vector) manifests() []object {
	trigger := object{"type": v.Type, "metadata": v.Metadata}
	if v.MetricType != "" {
		trigger["metricType"] = v.MetricType
	}
	var out []object
	if len(v.AuthParams) > 0 || v.PodIdentity != "" {
		trigger["authenticationRef"] = object{"name": "auth"}
		auth := object{}
		if v.PodIdentity != "" {
			auth["podIdentity"] = object{"provider": v.PodIdentity}
		}
		if len(v.AuthParams) > 0 {
			var refs []object
			for k := range v.AuthParams {
				refs = append(refs, object{"parameter": k, "name": "secret", "key": k})
			}
			auth["secretTargetRef"] = refs
			out = append(out, v.object("v1", "Secret", "secret", object{"stringData": v.AuthParams}))
		}
		out = append(out, v.object("keda.sh/v1alpha1", "TriggerAuthentication", "auth", object{"spec": auth}))
	}
	env := []object{}
	for name, value := range v.Env {
		env = append(env, object{"name": name, "value": value})
	}
	triggers := slices.Repeat([]object{{"type": "redis", "metadata": map[string]string{"address": "r:1", "listName": "dummy"}}}, v.TriggerIndex)
	return append(out,
		v.object("apps/v1", "Deployment", "worker", object{"spec": object{"template": object{"spec": object{
			"containers": []object{{"name": "worker", "env": env}},
		}}}}),
		v.object("keda.sh/v1alpha1", "ScaledObject", "worker", object{"spec": object{
			"scaleTargetRef": object{"name": "worker"}, "triggers": append(triggers, trigger),
			"minReplicaCount": 1, // what cpu and memory alone need
		}}))
}

// object adds what all objects have.
func (v vector) object(apiVersion, kind, name string, fields object) object {
	fields["apiVersion"], fields["kind"] = apiVersion, kind
	fields["metadata"] = object{"name": name, "namespace": v.Namespace}
	return fields
}

func TestKnownAnswers(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := yaml.UnmarshalStrict(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 235 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.ID+" "+v.Note, func(t *testing.T) {
			t.Parallel()
			v.check(t)
		})
	}
}

func (v vector) check(t *testing.T) {
	t.Helper()
	list, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": v.manifests()})
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, actual(t), string(list), "validate", "-f", "-", "-o", "json")
	checkArray(t, got)
	var all []struct {
		Trigger                              int
		OK                                   bool
		Type, MetricName, TargetType, Target string
		Errors                               []string
	}
	if err := json.Unmarshal([]byte(got.out), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != v.TriggerIndex+1 || all[v.TriggerIndex].Trigger != v.TriggerIndex {
		t.Fatalf("%d elements:\n%s", len(all), got.out)
	}
	e := all[v.TriggerIndex]
	if want := v.Expect == "ok"; e.OK != want || e.Type != v.Type {
		t.Fatalf("ok is %t, want %t: %q", e.OK, want, e.Errors)
	}
	if !e.OK {
		return
	}
	if v.MetricName == "" {
		return // read by the HPA itself, or named by the upstream
	}
	gotTarget, gotErr := resource.ParseQuantity(e.Target)
	wantTarget, wantErr := resource.ParseQuantity(v.Target)
	if gotErr != nil || wantErr != nil || gotTarget.Cmp(wantTarget) != 0 {
		t.Errorf("target %s, want %s", e.Target, v.Target)
	}
	if got, want := fmt.Sprint(e.MetricName, " ", e.TargetType), fmt.Sprint(v.MetricName, " ", v.TargetType); got != want {
		t.Errorf("metric %s, want %s", got, want)
	}
}
