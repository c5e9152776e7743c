package deploy_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/kube/certs"
)

// rules returns the rules of the roles that weir's service account has.
func rules(t *testing.T, objects []client.Object) map[string][]rbacv1.PolicyRule {
	t.Helper()
	out := map[string][]rbacv1.PolicyRule{}
	granted := func(kind string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) bool {
		return ref.Kind == kind && slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == namespace && s.Name == name
		})
	}
	for _, o := range objects {
		switch b := o.(type) {
		case *rbacv1.ClusterRoleBinding:
			if granted("ClusterRole", b.RoleRef, b.Subjects) && !strings.HasPrefix(b.RoleRef.Name, "system:") {
				out["cluster: "+b.RoleRef.Name] = one[*rbacv1.ClusterRole](t, objects, b.RoleRef.Name).Rules
			}
		case *rbacv1.RoleBinding:
			if granted("Role", b.RoleRef, b.Subjects) && b.Namespace == namespace {
				out["namespace: "+b.RoleRef.Name] = one[*rbacv1.Role](t, objects, b.RoleRef.Name).Rules
			}
		}
	}
	if len(out) != 3 {
		t.Fatalf("roles of the service account: %d, want 3", len(out))
	}
	return out
}

// TestWeirHasNoMoreRightsThanItNeeds states the facts that a reviewer asks for.
func TestWeirHasNoMoreRightsThanItNeeds(t *testing.T) {
	for role, list := range rules(t, load(t, "weir.yaml")) {
		for _, r := range list {
			if slices.Contains(r.Verbs, rbacv1.VerbAll) || slices.Contains(r.Verbs, "deletecollection") || len(r.NonResourceURLs) > 0 {
				t.Errorf("%s: too much: %v", role, r)
			}
			wild := slices.ContainsFunc(append(slices.Clone(r.Resources), r.APIGroups...), func(s string) bool { return strings.Contains(s, "*") })
			if wild && !slices.Equal(r.Resources, []string{"*/scale"}) {
				t.Errorf("%s: a wildcard for more than the scale subresource: %v", role, r)
			}
			owned := slices.Equal(r.Resources, []string{"horizontalpodautoscalers"}) || slices.Equal(r.Resources, []string{"jobs"})
			if slices.Contains(r.Verbs, "delete") && !owned {
				t.Errorf("%s: may delete more than HorizontalPodAutoscalers and Jobs: %v", role, r)
			}
			for _, escalation := range []string{"roles", "clusterroles", "rolebindings", "clusterrolebindings", "serviceaccounts", "serviceaccounts/token", "pods/exec", "nodes"} {
				reads := escalation == "serviceaccounts" && slices.Equal(r.Verbs, []string{"get", "watch"})
				if slices.Contains(r.Resources, escalation) && !reads {
					t.Errorf("%s: %s is a way to more rights: %v", role, escalation, r)
				}
			}
			for resource, only := range map[string]string{
				"apiservices": certs.ExternalMetricsAPIService, "validatingwebhookconfigurations": certs.DefaultWebhookConfiguration,
			} {
				if slices.Contains(r.Resources, resource) && !slices.Equal(r.ResourceNames, []string{only}) {
					t.Errorf("%s: more of %s than %s: %v", role, resource, only, r)
				}
			}
		}
	}
}

// TestSecretsAreNeverListed: Secrets that no trigger names stay out of the process.
func TestSecretsAreNeverListed(t *testing.T) {
	found := 0
	for role, list := range rules(t, load(t, "weir.yaml")) {
		for _, r := range list {
			if !slices.Contains(r.Resources, "secrets") {
				continue
			}
			found++
			allowed := []string{"get", "watch"}
			switch {
			case slices.Equal(r.ResourceNames, []string{certs.DefaultSecret}):
				allowed = []string{"get", "watch", "update", "patch"}
			case strings.HasPrefix(role, "namespace: "):
				allowed = []string{"create"} // cannot be limited to a name
			}
			for _, verb := range r.Verbs {
				if !slices.Contains(allowed, verb) {
					t.Errorf("%s: may %s secrets: %v", role, verb, r)
				}
			}
		}
	}
	if found != 3 {
		t.Errorf("rules about secrets: %d, want 3", found)
	}
}

// TestTheHPAControllerMayReadMetrics: without it no workload is ever scaled beyond one.
func TestTheHPAControllerMayReadMetrics(t *testing.T) {
	objects := load(t, "weir.yaml")
	b := one[*rbacv1.ClusterRoleBinding](t, objects, "weir-hpa-controller-external-metrics")
	if want := (rbacv1.Subject{Kind: "ServiceAccount", Name: "horizontal-pod-autoscaler", Namespace: "kube-system"}); !slices.Contains(b.Subjects, want) {
		t.Errorf("subjects are %v, want %v", b.Subjects, want)
	}
	r := one[*rbacv1.ClusterRole](t, objects, b.RoleRef.Name).Rules
	if len(r) != 1 || !slices.Equal(r[0].APIGroups, []string{"external.metrics.k8s.io"}) || !slices.Equal(r[0].Verbs, []string{"get", "list"}) {
		t.Errorf("rules are %v", r)
	}
}

// TestUsersGetNoMoreThanToSee states what the roles for people allow: what views are
// given, and who may ask weir itself, which is nobody as installed.
func TestUsersGetNoMoreThanToSee(t *testing.T) {
	objects := load(t, "weir.yaml")
	for _, r := range one[*rbacv1.ClusterRole](t, objects, "weir-view").Rules {
		for _, verb := range r.Verbs {
			if !slices.Contains([]string{"get", "list", "watch"}, verb) {
				t.Errorf("viewers may %s %v", verb, r.Resources)
			}
		}
	}
	explain := one[*rbacv1.Role](t, objects, "weir-explain")
	want := rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"services/proxy"}, ResourceNames: []string{"http:" + name + ":metrics"}, Verbs: []string{"get"},
	}
	if explain.Namespace != namespace || len(explain.Rules) != 1 || !reflect.DeepEqual(explain.Rules[0], want) {
		t.Errorf("to ask weir takes %v in %s", explain.Rules, explain.Namespace)
	}
	for _, o := range objects {
		if b, ok := o.(*rbacv1.RoleBinding); ok && b.RoleRef.Name == explain.Name {
			t.Errorf("%s gives to %v what weir knows of all namespaces", b.Name, b.Subjects)
		}
	}
}
