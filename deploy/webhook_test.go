package deploy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/weir-sh/weir/pkg/kube/certs"
	"github.com/weir-sh/weir/pkg/webhook"
)

// TestAdmissionIsAskedAboutEveryKindAndNeverInTheWay: nothing waits for weir, and
// nobody else's objects are sent to it.
func TestAdmissionIsAskedAboutEveryKindAndNeverInTheWay(t *testing.T) {
	objects := load(t, "weir.yaml")
	paths := map[string]string{
		"scaledobjects": webhook.PathScaledObjects, "scaledjobs": webhook.PathScaledJobs,
		"triggerauthentications":        webhook.PathTriggerAuthentications,
		"clustertriggerauthentications": webhook.PathClusterTriggerAuthentications,
	}
	for _, h := range one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, objects, certs.DefaultWebhookConfiguration).Webhooks {
		if len(h.Rules) != 1 || len(h.Rules[0].Resources) != 1 {
			t.Fatalf("%s has rules %v", h.Name, h.Rules)
		}
		r := h.Rules[0]
		resource := r.Resources[0]
		if want := "v" + strings.TrimSuffix(resource, "s") + ".weir.sh"; h.Name != want {
			t.Errorf("the webhook of %s is %q, want %q", resource, h.Name, want)
		}
		create, update := admissionregistrationv1.Create, admissionregistrationv1.Update
		if !slices.Equal(r.APIGroups, []string{"keda.sh"}) || !slices.Equal(r.Operations, []admissionregistrationv1.OperationType{create, update}) {
			t.Errorf("%s: rule %v", h.Name, r)
		}
		if *h.FailurePolicy != admissionregistrationv1.Ignore || *h.MatchPolicy != admissionregistrationv1.Equivalent ||
			*h.SideEffects != admissionregistrationv1.SideEffectClassNone || *h.TimeoutSeconds > 10 || len(h.ClientConfig.CABundle) > 0 {
			t.Errorf("%s is %+v", h.Name, h)
		}
		if s := h.ClientConfig.Service; s == nil || s.Namespace != namespace || s.Name != "weir-webhooks" || *s.Port != 443 || *s.Path != paths[resource] {
			t.Errorf("%s leads to %v", h.Name, h.ClientConfig.Service)
		}
		delete(paths, resource)
	}
	if len(paths) > 0 {
		t.Errorf("no webhook for %v", slices.Sorted(maps.Keys(paths)))
	}
}

func TestEveryReplicaServesAdmission(t *testing.T) {
	objects := load(t, "weir.yaml")
	service := one[*corev1.Service](t, objects, "weir-webhooks").Spec
	template := one[*appsv1.Deployment](t, objects, name).Spec.Template
	if !labels.SelectorFromSet(service.Selector).Matches(labels.Set(template.Labels)) {
		t.Errorf("the Service selects %v, the pods have %v", service.Selector, template.Labels)
	}
	i := slices.IndexFunc(template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == service.Ports[0].TargetPort.StrVal })
	if i < 0 || template.Spec.Containers[0].Ports[i].ContainerPort != 9443 {
		t.Errorf("the Service leads to %v, the ports are %v", service.Ports, template.Spec.Containers[0].Ports)
	}
}
