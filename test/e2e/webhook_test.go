//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube/certs"
)

// exempt lets everything into a namespace, for tests of what the controllers say of
// objects that admission would refuse.
func exempt(t *testing.T, namespace string) {
	t.Helper()
	admitted(t, namespace, "disabled")
}

func admitted(t *testing.T, namespace, value string) {
	t.Helper()
	patch(t, corev1.SchemeGroupVersion.WithResource("namespaces"), "", namespace,
		map[string]any{"metadata": map[string]any{"labels": map[string]any{"weir.sh/admission": value}}})
}

// person is a client that keeps the warnings it is given, as kubectl prints them.
type person struct {
	dynamic.Interface

	mu       sync.Mutex // guards warnings
	warnings []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (p *person) HandleWarningHeader(_ int, _, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warnings = append(p.warnings, text)
}

func newPerson(t *testing.T) *person {
	t.Helper()
	p := new(person)
	config := rest.CopyConfig(cluster.RESTConfig())
	config.WarningHandler = p
	var err error
	if p.Interface, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return p
}

// create tries to create an object, and returns the refusal and the warnings.
func (p *person) create(t *testing.T, namespace, manifest string, opts metav1.CreateOptions) (refusal string, warnings []string) {
	t.Helper()
	u := new(unstructured.Unstructured)
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.warnings = nil
	p.mu.Unlock()
	resource := schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: strings.ToLower(u.GetKind()) + "s"}
	var to dynamic.ResourceInterface = p.Resource(resource)
	if u.GetKind() != v1alpha1.KindClusterTriggerAuthentication {
		to = p.Resource(resource).Namespace(namespace)
	}
	_, err := to.Create(t.Context(), u, opts)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		return "", slices.Clone(p.warnings)
	}
	if !apierrors.IsForbidden(err) {
		t.Fatalf("creating %s: %v", u.GetKind(), err)
	}
	_, refusal, ok := strings.Cut(err.Error(), "denied the request: ")
	if !ok {
		t.Fatalf("the refusal %q is not admission's", err)
	}
	return refusal, slices.Clone(p.warnings)
}

// admissionServes waits until weir answers admission reviews.
func admissionServes(t *testing.T) {
	t.Helper()
	p, ns := newPerson(t), cluster.NewNamespace(t)
	cluster.WaitFor(t, 30*time.Second, "admission", func() error {
		if refusal, _ := p.create(t, ns, wrongObject, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); refusal == "" {
			return errors.New("an object that is wrong gets in")
		}
		return nil
	})
}

// wrongObject breaks rules of the object alone, and names what is not there.
const wrongObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: wrong, annotations: {autoscaling.keda.sh/paused-scale-in: "off"}}
spec:
  scaleTargetRef: {name: wrong}
  minReplicaCount: 2
  idleReplicaCount: 3
  advanced: {scalingModifiers: {formula: "orders +", target: "0"}}
  triggers:
  - {type: reddis, metadata: {address: "redis:6379"}}
  - type: redis
    name: orders
    metadata: {address: "redis:6379", listNmae: jobs}
    authenticationRef: {name: later}`

func TestAdmissionRefusesWithEverySentence(t *testing.T) {
	admissionServes(t)
	p, ns := newPerson(t), cluster.NewNamespace(t)
	apply(t, ns, idle, values{"Name": "web", "Replicas": 1})
	refusal, warnings := p.create(t, ns, wrongObject, metav1.CreateOptions{})
	lines := strings.Split(refusal, "\n- ")
	want := []string{
		"5 problems:",
		"spec.idleReplicaCount: must be less than minReplicaCount, which counts as 2 here",
		"spec.advanced.scalingModifiers.formula: ", // and what the language says of it
		`spec.advanced.scalingModifiers.target: must be a number above zero such as "5" or "0.25"`,
		`spec.triggers[0].type: trigger type "reddis" is not known; did you mean "redis"?`,
		"spec.triggers[1].metadata.listName: is required; set it in the trigger's metadata",
	}
	for i := range max(len(want), len(lines)) {
		if i >= len(want) || i >= len(lines) || !strings.HasPrefix(lines[i], want[i]) {
			t.Fatalf("refused with\n%s\nwant\n%s", refusal, strings.Join(want, "\n- "))
		}
	}
	for _, w := range []string{
		`metadata.annotations[autoscaling.keda.sh/paused-scale-in]: is neither "true" nor "false"`,
		`spec.triggers[1].authenticationRef: TriggerAuthentication "later" in namespace "` + ns + `" does not exist`,
		`spec.triggers[1].metadata.listNmae: is not known; did you mean "listName"?`,
		`spec.scaleTargetRef: Deployment "` + ns + `/wrong" does not exist`,
	} {
		if !slices.ContainsFunc(warnings, func(have string) bool { return strings.HasPrefix(have, w) }) {
			t.Errorf("no warning %q in %q", w, warnings)
		}
	}
	for manifest, want := range map[string]string{
		`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: web}, spec: {scaleTargetRef: {name: web}, minReplicaCount: 1,
			triggers: [{type: cpu, metricType: Utilization, metadata: {value: "60"}}]}}`: `spec.triggers[0]: needs a request of cpu in each container that counts, and there is none in "main"; ` +
			"set resources.requests.cpu there, or use metricType AverageValue",
		`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: web}, spec: {scaleTargetRef: {name: web},
			triggers: [{type: memory, metricType: AverageValue, metadata: {value: "1Gi"}}]}}`: "spec.minReplicaCount: must be at least 1 where all triggers are of type cpu or memory: " +
			"without pods there is nothing to measure, and nothing would wake the workload",
		`{apiVersion: keda.sh/v1alpha1, kind: TriggerAuthentication, metadata: {name: a}, spec: {podIdentity: {provider: aws, externalID: e}}}`: "spec.podIdentity.externalID: needs roleArn, " +
			"the role that it is given for; set that too",
		`{apiVersion: keda.sh/v1alpha1, kind: ClusterTriggerAuthentication, metadata: {name: a}, spec: {oauth2: {type: clientCredentials, clientId: c, tokenUrl: x}}}`: "spec.oauth2.tokenUrl: must be an " +
			"absolute URL that begins with http:// or https://",
		`{apiVersion: keda.sh/v1alpha1, kind: ScaledJob, metadata: {name: a}, spec: {jobTargetRef: {template: {spec: {restartPolicy: Always, containers: [{name: a, image: b}]}}},
			triggers: [{type: cron, metadata: {timezone: UTC, start: 0 1 * * *, end: 0 2 * * *, desiredReplicas: "1"}}]}}`: "spec.jobTargetRef.template.spec.restartPolicy: must be OnFailure or Never " +
			"for Jobs; OnFailure holds when it is unset",
	} {
		if refusal, _ := p.create(t, ns, manifest, metav1.CreateOptions{}); refusal != want {
			t.Errorf("refused with %q, want %q, for\n%s", refusal, want, manifest)
		}
	}
}

func TestObjectsMayBeAppliedInAnyOrder(t *testing.T) {
	admissionServes(t)
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{Password: "right"})
	v := values{"Name": "last", "Replicas": 0, "Address": s.Addr(), "Password": "right"}
	docs := strings.Split(render(t, redisSecretObject, v), "\n---\n")
	docs = append(docs, render(t, idle, v))
	slices.Reverse(docs[:3]) // the ScaledObject first, and its workload last
	for _, doc := range docs {
		apply(t, ns, doc, nil)
	}
	condition(t, 15*time.Second, ns, "last", v1alpha1.ConditionReady, "True", "")
	second := strings.Replace(docs[0], "metadata: {name: last}", "metadata: {name: second}", 1)
	if refusal, _ := newPerson(t).create(t, ns, second, metav1.CreateOptions{}); refusal != `spec.scaleTargetRef: is also the target of ScaledObject "last"; a workload can have one ScaledObject` {
		t.Errorf("a second object is refused with %q", refusal)
	}
}

// TestWhatWasThereBeforeTheRulesMayBeLabelled: only what changes is judged.
func TestWhatWasThereBeforeTheRulesMayBeLabelled(t *testing.T) {
	admissionServes(t)
	ns := cluster.NewNamespace(t)
	exempt(t, ns)
	cluster.WaitFor(t, 10*time.Second, "the exemption", func() error {
		refusal, _ := newPerson(t).create(t, ns, wrongObject, metav1.CreateOptions{})
		if refusal != "" {
			return fmt.Errorf("refused: %s", refusal)
		}
		return nil
	})
	admitted(t, ns, "enabled")
	// A patch: the controller writes the status meanwhile, and an update would conflict.
	change := func(body string) error {
		_, err := objects.Resource(scaledObjects()).Namespace(ns).Patch(t.Context(), "wrong", types.MergePatchType, []byte(body),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	cluster.WaitFor(t, 10*time.Second, "the rules to hold again", func() error {
		switch err := change(`{"spec": {"minReplicaCount": 1}}`); {
		case err == nil:
			return errors.New("a new spec that is wrong gets in")
		case !apierrors.IsForbidden(err):
			return err
		}
		return nil
	})
	if err := change(`{"metadata": {"labels": {"team": "orders"}}}`); err != nil {
		t.Errorf("a label: %v", err)
	}
	if err := change(`{"metadata": {"annotations": {"` + v1alpha1.AnnotationPausedReplicas + `": "many"}}}`); !apierrors.IsForbidden(err) {
		t.Errorf("a pause that is wrong is answered by %v", err)
	}
}

func TestWithoutAdmissionTheControllerSaysTheSame(t *testing.T) {
	admissionServes(t)
	p, ns := newPerson(t), cluster.NewNamespace(t)
	apply(t, ns, idle, values{"Name": "wrong", "Replicas": 1})
	refusal, _ := p.create(t, ns, wrongObject, metav1.CreateOptions{})
	configurations := cluster.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations()
	installed, err := configurations.Get(t.Context(), certs.DefaultWebhookConfiguration, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := configurations.Delete(t.Context(), installed.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		installed.ObjectMeta = metav1.ObjectMeta{Name: installed.Name, Labels: installed.Labels}
		if _, err := configurations.Create(t.Context(), installed, metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	}()
	cluster.WaitFor(t, 10*time.Second, "admission to be gone", func() error {
		if refusal, _ := p.create(t, ns, wrongObject, metav1.CreateOptions{}); refusal != "" {
			return fmt.Errorf("refused: %s", refusal)
		}
		return nil
	})
	for _, sentence := range strings.Split(refusal, "\n- ")[1:] {
		condition(t, 15*time.Second, ns, "wrong", v1alpha1.ConditionReady, "False", sentence)
	}
}

// TestAdmissionAnswersInTime asks many times beside the objects that are there. The
// API server has measured how long it waited.
func TestAdmissionAnswersInTime(t *testing.T) {
	admissionServes(t)
	const present, asked = 100, 300
	p, ns := newPerson(t), cluster.NewNamespace(t)
	const object = `{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: %s}, spec: {scaleTargetRef: {name: %s, kind: StatefulSet},
		triggers: [{type: cron, metadata: {timezone: UTC, start: 0 1 * * *, end: 0 2 * * *, desiredReplicas: "1"}}]}}`
	for i := range present {
		name := fmt.Sprintf("there-%d", i)
		if refusal, _ := p.create(t, ns, fmt.Sprintf(object, name, name), metav1.CreateOptions{}); refusal != "" {
			t.Fatal(refusal)
		}
	}
	took := make([]time.Duration, asked)
	for i := range took {
		start := time.Now()
		refusal, _ := p.create(t, ns, fmt.Sprintf(object, fmt.Sprintf("new-%d", i), fmt.Sprintf("there-%d", i)), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		took[i] = time.Since(start)
		if (refusal == "") != (i >= present) {
			t.Fatalf("object %d: refused with %q", i, refusal)
		}
	}
	slices.Sort(took)
	t.Logf("a create as a whole: half within %v, 99 of 100 within %v", took[asked/2], took[asked*99/100])
	raw, err := cluster.Client().Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waits := regexp.MustCompile(`(?m)^apiserver_admission_webhook_admission_duration_seconds_(bucket.*le="0.(025|1)"|count).*$`)
	for _, line := range waits.FindAllString(string(raw), -1) {
		if strings.Contains(line, "vscaledobject.weir.sh") && strings.Contains(line, `"CREATE"`) {
			t.Log(line)
		}
	}
	if took[asked/2] > time.Second {
		t.Errorf("half of the creates took up to %v", took[asked/2])
	}
}
