package deploy_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/weir-sh/weir/pkg/kube/certs"
)

// What weir serve takes for granted unless its flags say otherwise.
const (
	namespace = "weir-system"
	name      = "weir"
	service   = "weir-metrics-apiserver"
	lease     = "operator.keda.sh"
)

func TestNamesAgree(t *testing.T) {
	objects := load(t, "weir.yaml")
	one[*corev1.Namespace](t, objects, namespace)
	for _, o := range objects {
		if ns := o.GetNamespace(); ns != "" && ns != namespace && ns != "kube-system" {
			t.Errorf("%T %q is in namespace %q", o, o.GetName(), ns)
		}
	}
	api := one[*apiregistrationv1.APIService](t, objects, certs.ExternalMetricsAPIService).Spec
	to := api.Service
	if to == nil || to.Namespace != namespace || to.Name != service || to.Port == nil || *to.Port != 443 {
		t.Errorf("the APIService leads to %v", to)
	}
	if api.InsecureSkipTLSVerify || len(api.CABundle) > 0 || api.GroupPriorityMinimum != 100 || api.VersionPriority != 100 {
		t.Errorf("the APIService is %+v; weir writes the bundle, and TLS is always verified", api)
	}
	role := one[*rbacv1.Role](t, objects, name)
	if !slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Equal(r.ResourceNames, []string{lease}) }) {
		t.Errorf("nothing allows the Lease %q", lease)
	}
	source, err := os.ReadFile("../internal/serve/serve.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), `"`+lease+`"`) {
		t.Errorf("internal/serve has another Lease than %q", lease)
	}
}

// TestOnlyTheLeaderIsReached: the others have measured nothing.
func TestOnlyTheLeaderIsReached(t *testing.T) {
	objects := load(t, "weir.yaml")
	selects := labels.SelectorFromSet(one[*corev1.Service](t, objects, service).Spec.Selector)
	template := one[*appsv1.Deployment](t, objects, name).Spec.Template
	if selects.Matches(labels.Set(template.Labels)) {
		t.Error("the Service selects every pod; it has to ask for a label that only the leader has")
	}
	leader := maps.Clone(template.Labels)
	leader["weir.sh/role"] = "leader"
	if !selects.Matches(labels.Set(leader)) {
		t.Error("the Service does not select the pod that leads")
	}
	ports := map[string]int32{}
	for _, p := range template.Spec.Containers[0].Ports {
		ports[p.Name] = p.ContainerPort
	}
	if p := one[*corev1.Service](t, objects, service).Spec.Ports; len(p) != 1 || p[0].Port != 443 || ports[p[0].TargetPort.StrVal] != 6443 {
		t.Errorf("the Service's ports are %v; want 443 to 6443", p)
	}
}

func TestTheWorkloadIsHardened(t *testing.T) {
	objects := load(t, "weir.yaml")
	d := one[*appsv1.Deployment](t, objects, name)
	if d.Spec.Replicas == nil || *d.Spec.Replicas != 2 {
		t.Errorf("replicas: %v, want 2", d.Spec.Replicas)
	}
	pod := d.Spec.Template.Spec
	one[*corev1.ServiceAccount](t, objects, pod.ServiceAccountName)
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot ||
		s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("security context of the pod: %+v", s)
	}
	c := pod.Containers[0]
	if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
		s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("security context of the container: %+v", s)
	}
	if !slices.Equal(c.Args, []string{"serve"}) || c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Errorf("args %q, probes %v and %v", c.Args, c.LivenessProbe, c.ReadinessProbe)
	}
	fields := map[string]string{}
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			fields[e.Name] = e.ValueFrom.FieldRef.FieldPath
		}
	}
	if want := map[string]string{"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}; !maps.Equal(fields, want) {
		t.Errorf("environment: %v, want %v", fields, want)
	}
	budget, err := metav1.LabelSelectorAsSelector(one[*policyv1.PodDisruptionBudget](t, objects, name).Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	if !budget.Matches(labels.Set(d.Spec.Template.Labels)) {
		t.Error("the disruption budget does not select the pods")
	}
	if uid := pod.SecurityContext.RunAsUser; uid == nil || *uid != 65532 {
		t.Errorf("runAsUser is %v, the Dockerfile's is 65532", uid)
	}
}
