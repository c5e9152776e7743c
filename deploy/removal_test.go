package deploy_test

import (
	"os"
	"strings"
	"testing"
)

// TestTheWayBackToKEDARemovesAllButTheDefinitions: each object is removed by one of
// the commands that the page of migration gives, and the definitions by none, since
// all ScaledObjects would go with them.
func TestTheWayBackToKEDARemovesAllButTheDefinitions(t *testing.T) {
	page, err := os.ReadFile("../docs/migrate-from-keda.md")
	if err != nil {
		t.Fatal(err)
	}
	_, back, _ := strings.Cut(string(page), "\n## Back to KEDA\n")
	for _, command := range []string{
		"kubectl delete validatingwebhookconfiguration weir-admission\n",
		"kubectl patch apiservice v1beta1.external.metrics.k8s.io ",
		"kubectl delete namespace weir-system\n",
		"kubectl delete clusterrole,clusterrolebinding -l app.kubernetes.io/name=weir\n",
		"kubectl -n kube-system delete rolebinding -l app.kubernetes.io/name=weir\n",
	} {
		if !strings.Contains(back, command) {
			t.Errorf("the page does not say\n%s", command)
		}
	}
	for _, o := range load(t, "weir.yaml") {
		kind, labelled := o.GetObjectKind().GroupVersionKind().Kind, o.GetLabels()["app.kubernetes.io/name"] == "weir"
		id := kind + " " + o.GetNamespace() + "/" + o.GetName()
		removed := false
		switch {
		case o.GetNamespace() == "kube-system":
			removed = kind == "RoleBinding" && labelled
		case o.GetNamespace() != "":
			removed = o.GetNamespace() == "weir-system"
		case kind == "ClusterRole" || kind == "ClusterRoleBinding":
			removed = labelled
		case kind == "CustomResourceDefinition":
			if labelled {
				t.Errorf("%s has the label that the rest is removed by", id)
			}
			removed = true // kept on purpose
		default:
			removed = id == "Namespace /weir-system" || id == "ValidatingWebhookConfiguration /weir-admission" ||
				id == "APIService /v1beta1.external.metrics.k8s.io" // led back, not removed
		}
		if !removed {
			t.Errorf("%s is left behind", id)
		}
	}
}
