//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/health"
)

// listObject scales on the list of its own name; More are further lines of its
// spec.
const listObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: {{.Name}}}
spec:
  scaleTargetRef: {name: {{.Name}}}
  pollingInterval: 1
  cooldownPeriod: 1
  {{.More}}
  triggers:
  - type: redis
    metadata: {address: "{{.Address}}", listName: {{.Name}}, listLength: "5"}
  {{.MoreTriggers}}`

// listed applies a Deployment with so many replicas and an object on the list of
// its name.
func listed(t *testing.T, namespace string, s *redis.Server, name string, replicas int, more, triggers string) {
	t.Helper()
	v := values{"Name": name, "Replicas": replicas, "Address": s.Addr(), "More": more, "MoreTriggers": triggers}
	apply(t, namespace, idle, v)
	apply(t, namespace, listObject, v)
}

// fill puts n items on a list.
func fill(t *testing.T, s *redis.Server, list string, n int) {
	t.Helper()
	cli(t, s, append([]string{"RPUSH", list}, strings.Fields(strings.Repeat("x ", n))...)...)
}

// annotate sets annotations of a ScaledObject, and removes those that are nil. The
// error is the API server's.
func annotate(t *testing.T, namespace, name string, annotations map[string]any) error {
	t.Helper()
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = objects.Resource(scaledObjects()).Namespace(namespace).Patch(t.Context(), name, types.MergePatchType, body, metav1.PatchOptions{})
	return err
}

// annotated is annotate where the API server has nothing against it.
func annotated(t *testing.T, namespace, name, key string, value any) {
	t.Helper()
	if err := annotate(t, namespace, name, map[string]any{key: value}); err != nil {
		t.Fatal(err)
	}
}

// judged checks what tools think of a ScaledObject; message is a part of what Argo
// CD shows.
func judged(t *testing.T, namespace, name, kstatus, argoCD, message string) {
	t.Helper()
	o, err := objects.Resource(scaledObjects()).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := health.Kstatus(o); err != nil || got != kstatus {
		t.Errorf("%s: kstatus says %s, %v; want %s", name, got, err, kstatus)
	}
	if got, shown, err := health.ArgoCD(o); err != nil || got != argoCD || !strings.Contains(shown, message) {
		t.Errorf("%s: Argo CD says %s, %q, %v; want %s, %q", name, got, shown, err, argoCD, message)
	}
}

// noHPA waits until the HPA of an object is gone.
func noHPA(t *testing.T, namespace, name string) {
	t.Helper()
	cluster.WaitFor(t, 5*time.Second, "the HPA of "+name+" to go", func() error {
		_, err := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(t.Context(), "keda-hpa-"+name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("reading it: %w", err)
	})
}

// deployment reads a Deployment. Its generation tells whether it was ever scaled
// since it was last read.
func deployment(t *testing.T, namespace, name string) *appsv1.Deployment {
	t.Helper()
	d, err := cluster.Client().AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// within fails the test unless f holds before limit has passed since it was
// called, and logs how long it took.
func within(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
	start := time.Now()
	cluster.WaitFor(t, 10*limit, what, f)
	took := time.Since(start)
	if t.Logf("%s: %s", what, took); took > limit {
		t.Errorf("%s took %s, want at most %s", what, took, limit)
	}
}

func exactly(n int32) func(want, ready int32) bool {
	return func(want, _ int32) bool { return want == n }
}

func TestPausesHoldAndEndAtOnce(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	const bare, number, wrong, in, out, force = "bare", "number", "wrong", "scale-in", "scale-out", "force"
	busy := []string{bare, number, wrong, in}
	for _, name := range append(busy, out, force) {
		listed(t, ns, s, name, 0, "", "")
	}
	for _, name := range append(busy, out, force) {
		condition(t, 20*time.Second, ns, name, v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
	}
	judged(t, ns, out, "Current", "Healthy", "ready")
	for _, name := range busy {
		fill(t, s, name, 10)
	}
	for _, name := range busy {
		awaitReplicas(t, 30*time.Second, ns, name, "has work for 2", exactly(2))
	}
	keptHPA := hpa(t, ns, "keda-hpa-"+wrong).UID

	annotated(t, ns, bare, v1alpha1.AnnotationPaused, "true")
	annotated(t, ns, number, v1alpha1.AnnotationPausedReplicas, "3")
	refused := annotate(t, ns, wrong, map[string]any{v1alpha1.AnnotationPausedReplicas: "three"})
	annotated(t, ns, in, v1alpha1.AnnotationPausedScaleIn, "true")
	annotated(t, ns, out, v1alpha1.AnnotationPausedScaleOut, "true")
	annotated(t, ns, force, v1alpha1.AnnotationForceActivation, "true")

	condition(t, 5*time.Second, ns, bare, v1alpha1.ConditionPaused, "True/ScaledObjectPaused", "paused by annotation")
	condition(t, 5*time.Second, ns, bare, v1alpha1.ConditionReady, "True/ScaledObjectReady", "paused")
	judged(t, ns, bare, "Current", "Suspended", "paused")
	noHPA(t, ns, bare)
	awaitReplicas(t, 5*time.Second, ns, number, "is put to the number", exactly(3))
	noHPA(t, ns, number)
	cluster.WaitFor(t, 5*time.Second, "status.pausedReplicaCount", func() error {
		if n := scaledObject(t, ns, number).Status.PausedReplicaCount; n == nil || *n != 3 {
			return fmt.Errorf("it is %v", n)
		}
		return nil
	})
	if refused == nil {
		condition(t, 5*time.Second, ns, wrong, v1alpha1.ConditionReady, "False/ScaledObjectCheckFailed", v1alpha1.AnnotationPausedReplicas)
		judged(t, ns, wrong, "InProgress", "Degraded", v1alpha1.AnnotationPausedReplicas)
	} else if !strings.Contains(refused.Error(), v1alpha1.AnnotationPausedReplicas) {
		t.Errorf("a wrong number is refused without a word on it: %v", refused)
	}
	for _, name := range []string{in, out} {
		condition(t, 5*time.Second, ns, name, v1alpha1.ConditionPaused, "True/ScaledObjectPaused", name+" is paused")
		judged(t, ns, name, "Current", "Suspended", "")
	}
	awaitReplicas(t, 5*time.Second, ns, force, "is active without work", exactly(1))
	condition(t, 5*time.Second, ns, force, v1alpha1.ConditionActive, "True/ScalerActive", "")

	// Work comes and goes, and nobody moves who must not: a generation counts scalings.
	before := map[string]int64{}
	for _, name := range []string{bare, number, in, out} {
		before[name] = deployment(t, ns, name).Generation
	}
	fill(t, s, bare, 40)
	fill(t, s, number, 40)
	fill(t, s, out, 20)
	cli(t, s, "DEL", in)
	condition(t, 5*time.Second, ns, in, v1alpha1.ConditionActive, "False", "")
	condition(t, 5*time.Second, ns, out, v1alpha1.ConditionActive, "True/ScalerActive", "")
	time.Sleep(8 * time.Second) // longer than cooldown, polls, and the HPA's period and window
	for name, generation := range before {
		if d := deployment(t, ns, name); d.Generation != generation {
			t.Errorf("%s was scaled to %d while it was paused", name, *d.Spec.Replicas)
		}
	}
	if h := hpa(t, ns, "keda-hpa-"+wrong); h.UID != keptHPA {
		t.Errorf("an annotation that is wrong has cost %s its HPA", wrong)
	}
	if h := hpa(t, ns, "keda-hpa-"+in); *h.Spec.Behavior.ScaleDown.SelectPolicy != autoscalingv2.DisabledPolicySelect {
		t.Errorf("the HPA of %s may scale down: %v", in, h.Spec.Behavior)
	}
	fill(t, s, in, 20)
	awaitReplicas(t, 20*time.Second, ns, in, "may still grow", exactly(4))

	restartKeepsPauses(t, ns, bare, number)
	for name, key := range map[string]string{bare: v1alpha1.AnnotationPaused, number: v1alpha1.AnnotationPausedReplicas} {
		annotated(t, ns, name, key, nil)
		within(t, time.Second, "the end of the pause of "+name+" to give it its HPA", func() error {
			_, err := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(ns).Get(t.Context(), "keda-hpa-"+name, metav1.GetOptions{})
			return err
		})
	}
	annotated(t, ns, out, v1alpha1.AnnotationPausedScaleOut, nil)
	within(t, time.Second, "the end of the pause of "+out+" to wake it", func() error {
		if n := *deployment(t, ns, out).Spec.Replicas; n == 0 {
			return fmt.Errorf("it has %d replicas", n)
		}
		return nil
	})
	annotated(t, ns, in, v1alpha1.AnnotationPausedScaleIn, nil)
	annotated(t, ns, force, v1alpha1.AnnotationForceActivation, nil)
	annotated(t, ns, wrong, v1alpha1.AnnotationPausedReplicas, nil)
	cli(t, s, "DEL", in)
	awaitReplicas(t, 30*time.Second, ns, bare, "scales again to its maximum for 50", exactly(10))
	awaitReplicas(t, 30*time.Second, ns, force, "rests", exactly(0))
	awaitReplicas(t, 30*time.Second, ns, in, "rests", exactly(0))
	for _, name := range append(busy, out) {
		condition(t, 5*time.Second, ns, name, v1alpha1.ConditionReady, "True/ScaledObjectReady", "")
		condition(t, 5*time.Second, ns, name, v1alpha1.ConditionPaused, "False", "")
	}
}

// restartKeepsPauses kills weir and starts it again: what is paused is neither
// scaled nor written.
func restartKeepsPauses(t *testing.T, namespace string, paused ...string) {
	t.Helper()
	type state struct {
		generation int64
		version    string
	}
	read := func(name string) state {
		return state{deployment(t, namespace, name).Generation, scaledObject(t, namespace, name).ResourceVersion}
	}
	before := map[string]state{}
	for _, name := range paused {
		before[name] = read(name)
	}
	if err := weir.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := weir.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := serving(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // several polls
	for name, was := range before {
		if is := read(name); is != was {
			t.Errorf("%s was scaled or written after a restart: %+v, then %+v", name, was, is)
		}
		noHPA(t, namespace, name)
	}
}
