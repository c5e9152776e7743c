package scaledobject_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

func TestSpecsThatAreWrong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*v1alpha1.ScaledObject)
		ready  string
	}{
		"everything at once": {
			func(so *v1alpha1.ScaledObject) {
				so.Spec.ScaleTargetRef.Kind = "Gone"
				so.Spec.MinReplicaCount, so.Spec.MaxReplicaCount = ptr.To[int32](5), ptr.To[int32](3)
				so.Spec.Triggers = []v1alpha1.Trigger{
					{Type: "fake", Metadata: map[string]string{"target": "much"}},
					{Type: "fakes"},
				}
			},
			"spec.minReplicaCount: is more than maxReplicaCount, which is 3; lower it or raise maxReplicaCount; " +
				`spec.scaleTargetRef: the API server knows no kind "Gone" in "apps/v1"; correct scaleTargetRef.apiVersion and kind, or install its CRD; ` +
				"spec.triggers[0].metadata.name: is required; set it in the trigger's metadata; " +
				"spec.triggers[0].metadata.target: must be a number such as \"5\" or \"0.25\"; " +
				`spec.triggers[1].type: trigger type "fakes" is not known; did you mean "fake"?`,
		},
		"a formula": {
			func(so *v1alpha1.ScaledObject) {
				so.Spec.Advanced = &v1alpha1.AdvancedConfig{ScalingModifiers: v1alpha1.ScalingModifiers{Formula: "a+b", Target: "1"}}
			},
			"spec.advanced.scalingModifiers.formula: compiling the formula: unknown name a (1:1)",
		},
		"no trigger": {triggers(), "spec.triggers: must have at least one trigger"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, deployment("web", 0), scaledObject("a", tc.change))
			equal(t, "next try", w.pass("a"), retryProblem)
			w.says("a", "Ready", checkFailed+tc.ready, "Active", "Unknown UnknownState: the object is not in force; see Ready")
			w.Does("patch ScaledObject a", wrote)
			w.Tells("Warning ScaledObjectCheckFailed: " + tc.ready)
			for range 3 {
				w.now = w.now.Add(retryProblem)
				w.pass("a")
			}
			w.Does()
			w.Tells()
			status := w.object("a").Status
			equal(t, "hpaName", status.HPAName, "")
			equal(t, "observedGeneration", status.ObservedGeneration, 1)
		})
	}
}

func TestABadSpecAfterAGoodOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 3), scaledObject("a"))
	w.reads(map[string]float64{"jobs": 0})
	w.now = w.now.Add(-time.Minute)
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a")
	w.edits("a", triggers("jobs", ""))
	w.now = w.now.Add(time.Hour)
	w.reads(map[string]float64{"jobs": 0})
	w.pass("a")
	const wrong = "spec.triggers[1].metadata.name: is required; set it in the trigger's metadata"
	w.says("a", "Ready", checkFailed+wrong)
	w.Tells("Warning ScaledObjectCheckFailed: " + wrong)
	w.has(3) // it is not put to rest by a spec that is not the newest
	value, err := w.r.Metric(t.Context(), "ns", "a", "s0-fake-jobs")
	if err != nil || value.Value != 0 {
		t.Errorf("the HPA reads %v, %v", value, err)
	}
	w.scale("Deployment", "web", 0)
	w.reads(map[string]float64{"jobs": 1})
	w.pass("a")
	w.has(1) // but woken

	w.Forgets()
	w.edits("a", triggers("jobs", "more"))
	w.reads(map[string]float64{"jobs": 0, "more": 0})
	w.now = w.now.Add(time.Minute)
	w.pass("a")
	w.Does("apply HorizontalPodAutoscaler keda-hpa-a", wrote)
	w.says("a", "Ready", ready, "Active", cooling)
	w.Tells("Normal ScaledObjectReady: the object is ready for scaling")
	w.now = w.now.Add(4 * time.Minute)
	w.reads(map[string]float64{"jobs": 0, "more": 0})
	w.pass("a")
	w.has(0)
}

func withAuth(so *v1alpha1.ScaledObject) {
	so.Spec.Triggers[0].AuthenticationRef = &v1alpha1.AuthenticationRef{Name: "auth"}
}

func authentication() *v1alpha1.TriggerAuthentication {
	return &v1alpha1.TriggerAuthentication{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "auth", Generation: 1},
		Spec:       v1alpha1.TriggerAuthenticationSpec{SecretTargetRef: []v1alpha1.TargetRef{{Parameter: "password", Name: "creds", Key: "pw"}}},
	}
}

func secret(key, value string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "creds"}, Data: map[string][]byte{key: []byte(value)}}
}

func TestCredentialsThatAreMissing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		objects []client.Object
		ready   string
		refs    string
	}{
		"no TriggerAuthentication": {nil, `TriggerAuthentication "auth" in namespace "ns" does not exist; create it or correct the reference`, `[TriggerAuthentication "auth" in namespace "ns"]`},
		"no Secret": {
			[]client.Object{authentication()},
			`resolving authentication parameter "password": Secret "creds" in namespace "ns" does not exist; create it or correct the reference`,
			`[Secret "creds" in namespace "ns" TriggerAuthentication "auth" in namespace "ns"]`,
		},
		"no key": {
			[]client.Object{authentication(), secret("other", "x")},
			`resolving authentication parameter "password": Secret "creds" in namespace "ns" has no key "pw"; add the key or correct the reference`,
			`[Secret "creds" in namespace "ns" TriggerAuthentication "auth" in namespace "ns"]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, append(tc.objects, deployment("web", 1), scaledObject("a", withAuth))...)
			w.pass("a")
			w.says("a", "Ready", checkFailed+"spec.triggers[0].authenticationRef: "+tc.ready)
			equal(t, "references", fmt.Sprint(w.Refs["scaledobject/ns/a"]), tc.refs)
		})
	}
}

func TestASecretThatChangesTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a", withAuth), authentication(), secret("pw", "one"))
	w.pass("a")
	measured := func() any { return w.engine.Uses["scaledobject/ns/a"][0].Query }
	equal(t, "query", measured(), any(w.query("jobs", "one")))
	w.Forgets()
	if err := w.api.Update(t.Context(), secret("pw", "two")); err != nil {
		t.Fatal(err)
	}
	w.pass("a")
	equal(t, "query before the change is told", measured(), any(w.query("jobs", "one")))
	w.r.OnReference([]string{"scaledobject/ns/a", "scaledobject/ns/unknown", "nonsense"})
	equal(t, "asked for", fmt.Sprint(w.queue.Taken()), "[a unknown]")
	w.pass("a")
	equal(t, "query", measured(), any(w.query("jobs", "two")))
	w.Does()
	w.has(1) // not measured yet, so nothing is scaled

	if err := w.api.Delete(t.Context(), secret("", "")); err != nil {
		t.Fatal(err)
	}
	w.r.OnReference([]string{"scaledobject/ns/a"})
	w.pass("a")
	equal(t, "query without the Secret", measured(), any(w.query("jobs", "two")))
	if got := w.condition("a", "Ready"); !strings.HasPrefix(got, checkFailed+"spec.triggers[0].authenticationRef: ") {
		t.Errorf("Ready is %s", got)
	}
	if text := fmt.Sprint(w.Events, w.object("a").Status); strings.Contains(text, "two") {
		t.Errorf("the secret is shown: %s", text)
	}
}

func TestOfTwoObjectsForOneWorkloadTheOlderHasIt(t *testing.T) {
	t.Parallel()
	younger := func(so *v1alpha1.ScaledObject) {
		so.CreationTimestamp = metav1.NewTime(so.CreationTimestamp.Add(time.Minute))
	}
	elsewhere := func(so *v1alpha1.ScaledObject) {
		so.Spec.ScaleTargetRef.Name = "other"
		so.Spec.Advanced = &v1alpha1.AdvancedConfig{HorizontalPodAutoscalerConfig: &v1alpha1.HorizontalPodAutoscalerConfig{Name: "keda-hpa-a"}}
	}
	for name, tc := range map[string]struct {
		b     *v1alpha1.ScaledObject
		ready string
	}{
		"the same workload":         {scaledObject("b", younger), `ScaledObject "a", which is older, already scales Deployment "ns/web"; delete one of the two or change its target or HPA name`},
		"the same workload and age": {scaledObject("b"), `ScaledObject "a", which is older, already scales Deployment "ns/web"; delete one of the two or change its target or HPA name`},
		"the same name of the HPA":  {scaledObject("b", younger, elsewhere), `ScaledObject "a", which is older, already has an HPA named "keda-hpa-a"; delete one of the two or change its target or HPA name`},
		"another spelling of the target": {scaledObject("b", younger, func(so *v1alpha1.ScaledObject) {
			so.Spec.ScaleTargetRef.APIVersion, so.Spec.ScaleTargetRef.Kind = "apps/v1", "Deployment"
		}), `ScaledObject "a", which is older, already scales Deployment "ns/web"; delete one of the two or change its target or HPA name`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Both have an HPA, as where nobody had kept them apart.
			w := newWorld(t, deployment("web", 1), deployment("other", 1), scaledObject("a"), tc.b, ownedBy(hpa("of-b", tc.b.Spec.ScaleTargetRef.Name), tc.b))
			w.reads(map[string]float64{"jobs": 1})
			w.settles("b", "a")
			w.says("a", "Ready", ready)
			w.says("b", "Ready", checkFailed+tc.ready)
			equal(t, "HPAs", fmt.Sprint(w.hpas()), "[keda-hpa-a]")
			equal(t, "owners that measure", len(w.engine.Uses), 1)
			if err := w.api.Delete(t.Context(), w.object("a")); err != nil {
				t.Fatal(err)
			}
			w.pass("a")
			if err := w.api.Delete(t.Context(), hpa("keda-hpa-a", "web")); err != nil { // as the garbage collector does
				t.Fatal(err)
			}
			w.r.OnReference([]string{"scaledobject/ns/b"}) // as the handlers do
			w.settles("b")
			w.says("b", "Ready", ready)
			equal(t, "HPAs", fmt.Sprint(w.hpas()), "["+w.object("b").HPAName()+"]")
		})
	}
}

func TestAnObjectThatLosesItsWorkloadToAnOlderOneLetsGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), deployment("other", 1), scaledObject("b"),
		scaledObject("a", func(so *v1alpha1.ScaledObject) { so.Spec.ScaleTargetRef.Name = "other" }))
	w.reads(map[string]float64{"jobs": 1})
	w.settles("a", "b")
	w.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.ScaleTargetRef.Name = "web" })
	w.r.OnReference([]string{"scaledobject/ns/b"})
	w.pass("a")
	w.pass("b")
	w.says("a", "Ready", ready)
	equal(t, "HPAs", fmt.Sprint(w.hpas()), "[keda-hpa-a]")
	equal(t, "name in the status of the loser", w.object("b").Status.HPAName, "")
	w.settles("a", "b")
	w.pass("b")
	w.Does()
}

func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deployment("web", 1), scaledObject("a", func(so *v1alpha1.ScaledObject) {
		for range 300 {
			so.Spec.Triggers = append(so.Spec.Triggers, v1alpha1.Trigger{Type: "ünknöwn"})
		}
	}))
	w.pass("a")
	equal(t, "bytes of the message", len(v1alpha1.FindCondition(w.object("a").Status.Conditions, "Ready").Message), 4096)
	equal(t, "end of the event", strings.HasSuffix(w.Events[0], "..."), true)
}
