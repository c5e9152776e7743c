//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/internal/testcluster"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/explain"
)

// viewer makes a user who may view the namespace, as the ClusterRole "view" allows
// with weir installed, and returns the kubeconfig.
func viewer(t *testing.T, namespace string) string {
	t.Helper()
	const name = "viewer"
	client := cluster.Client()
	if _, err := client.CoreV1().ServiceAccounts(namespace).Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: name}},
	}
	if _, err := client.RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config, err := cluster.ServiceAccountConfig(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := testcluster.WriteKubeconfig(file, config); err != nil {
		t.Fatal(err)
	}
	return file
}

// asked runs weir as its users do, and returns its output and exit status.
func asked(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return ran(t, "weir", args...)
}

// ran is asked for a program that is weir under another name.
func ran(t *testing.T, program string, args ...string) (string, int) {
	t.Helper()
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if ended, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("running %s %v: %v", program, args, err)
	} else if ok {
		return string(out) + errs.String(), ended.ExitCode()
	}
	return string(out) + errs.String(), 0
}

// explained asks weir, with its own view, until the object is in the state, and
// returns the report. The text must begin with its answer, and both must have the
// same exit status, which the state decides.
func explained(t *testing.T, kubeconfig, namespace, name string, state explain.State) explain.Report {
	t.Helper()
	args := []string{name, "--namespace=" + namespace, "--kubeconfig=" + kubeconfig, "--server=" + weir.Debug}
	var r explain.Report
	cluster.WaitFor(t, 45*time.Second, fmt.Sprintf("%s to be explained as %s", name, state), func() error {
		out, status := asked(t, append([]string{"explain", "--output=json"}, args...)...)
		r = explain.Report{}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			return fmt.Errorf("status %d: %s", status, out)
		}
		want := map[bool]int{true: explain.StatusAttention, false: explain.StatusFine}[r.Attention]
		if r.State != state || status != want {
			return fmt.Errorf("%s, status %d: %s", r.State, status, r.Answer)
		}
		return nil
	})
	text, status := asked(t, append([]string{"explain"}, args...)...)
	first, _, _ := strings.Cut(text, "\n")
	if r.Attention != (status == explain.StatusAttention) || !strings.HasPrefix(first, namespace+"/"+name+" ") || !strings.HasSuffix(first, ".") {
		t.Errorf("status %d and\n%s", status, text)
	}
	t.Logf("%s", text)
	return r
}

// watched watches an object until it has printed something, and interrupts that.
func watched(t *testing.T, args []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "weir", append([]string{"status", "--watch"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(first, "/orders has 4 replicas") {
		t.Errorf("it printed %q, %v", first, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted, it ended with %v", err)
	}
}

func TestExplainSaysWhyAWorkloadIsAtItsSize(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	config := viewer(t, ns)
	const name = "orders"
	v := values{"Name": name, "Replicas": 0, "Address": s.Addr(), "Polling": 1, "Cooldown": 60}
	apply(t, ns, idle, v)
	manifest := strings.Replace(render(t, redisObject, v), `listLength: "5"`, `listLength: "5", activationListLength: "10"`, 1)
	// One pod in half an hour, so that growing can be seen.
	slow := strings.Replace(manifest, "  triggers:", `  advanced:
    horizontalPodAutoscalerConfig:
      behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1800}]}}
  triggers:`, 1)
	apply(t, ns, slow, nil)
	condition(t, 15*time.Second, ns, name, v1alpha1.ConditionReady, "True", "")

	push(t, s, 7)
	r := explained(t, config, ns, name, explain.AtRest)
	cluster.WaitFor(t, 10*time.Second, "the value to be told", func() error {
		r = explained(t, config, ns, name, explain.AtRest)
		if want := ns + "/orders is at 0 replicas, as no trigger has work: s0-redis-jobs has 7 (not above 10)."; r.Answer != want {
			return fmt.Errorf("the answer is %q, want %q", r.Answer, want)
		}
		return nil
	})
	if want := "wakes to 1 replica when s0-redis-jobs is above 10"; !slices.Contains(r.Outlook, want) {
		t.Errorf("outlook %q, want %q", r.Outlook, want)
	}
	if len(r.Decisions) == 0 || len(r.Triggers) != 1 || r.Triggers[0].Age == nil || r.Triggers[0].From != "weir" || len(r.Unseen) != 0 {
		t.Errorf("decisions %v, triggers %+v, unseen %v", r.Decisions, r.Triggers, r.Unseen)
	}

	push(t, s, 40) // 47
	r = explained(t, config, ns, name, explain.Growing)
	if !strings.HasSuffix(r.Answer, " to 10 replicas: s0-redis-jobs asks for 10.") || r.Triggers[0].Arithmetic != "ceil(47 / 5) = 10" {
		t.Errorf("answer %q, arithmetic %q", r.Answer, r.Triggers[0].Arithmetic)
	}
	if len(r.Limits) == 0 || !strings.HasPrefix(r.Limits[0], "pace of the HPA: ") || r.HPA == nil || r.HPA.Next == nil {
		t.Errorf("limits %q, HPA %+v", r.Limits, r.HPA)
	}

	apply(t, ns, manifest, nil)
	push(t, s, 70) // 117
	r = explained(t, config, ns, name, explain.AtMax)
	if want := ns + "/orders is at its maximum of 10 replicas, and the work asks for 24."; r.Answer != want {
		t.Errorf("the answer is %q, want %q", r.Answer, want)
	}
	if want := "maxReplicaCount 10: the work asks for 24 (s0-redis-jobs: ceil(117 / 5) = 24)"; !slices.Contains(r.Limits, want) {
		t.Errorf("limits %q, want %q", r.Limits, want)
	}

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	r = explained(t, config, ns, name, explain.Held)
	if want := ns + "/orders stays at 10 replicas, as s0-redis-jobs cannot be measured and unknown is not zero."; r.Answer != want || r.Triggers[0].Error == "" {
		t.Errorf("the answer is %q, want %q; trigger %+v", r.Answer, want, r.Triggers)
	}

	patch(t, scaledObjects(), ns, name, map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationPausedReplicas: "2"}}})
	condition(t, 15*time.Second, ns, name, v1alpha1.ConditionPaused, "True", "")
	r = explained(t, config, ns, name, explain.Paused)
	if want := "remove annotation " + v1alpha1.AnnotationPausedReplicas + " to resume"; !slices.Contains(r.Outlook, want) || r.HPA != nil {
		t.Errorf("outlook %q, want %q; HPA %+v", r.Outlook, want, r.HPA)
	}
}

func TestExplainWorksWithoutWeirAndNamesWhatIsMissing(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	config := viewer(t, ns)
	v := values{"Name": "orders", "Replicas": 0, "Address": s.Addr(), "Polling": 1, "Cooldown": 60}
	apply(t, ns, idle, v)
	apply(t, ns, redisObject, v)
	push(t, s, 18)
	awaitReplicas(t, 30*time.Second, ns, "orders", "has work for 4", func(_, ready int32) bool { return ready == 4 })

	args := []string{"orders", "--namespace=" + ns, "--kubeconfig=" + config}
	var text string
	cluster.WaitFor(t, 20*time.Second, "the HPA to say what it reads", func() error {
		var status int
		text, status = asked(t, append([]string{"explain"}, args...)...)
		if want := ns + "/orders has 4 replicas, which suits s0-redis-jobs: "; status != 0 || !strings.HasPrefix(text, want) || !strings.Contains(text, ": saw 4, wants 4\n") {
			return fmt.Errorf("status %d: %s", status, text)
		}
		return nil
	})
	for _, want := range []string{
		"  s0-redis-jobs  redis  18     -    yes",
		"not allowed (needs get services/proxy of",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	tree, status := asked(t, append([]string{"status"}, args...)...)
	if status != 0 || strings.Count(tree, "─ pod orders-") != 4 || !strings.Contains(tree, "└─ HPA keda-hpa-orders: saw 4, wants 4, 1 to 10\n   └─ Deployment orders: 4 replicas, 4 ready\n") {
		t.Errorf("status %d and\n%s", status, tree)
	}
	list, status := asked(t, "status", "--namespace="+ns, "--kubeconfig="+config)
	if want := "orders  so    Deployment/orders  0    10   4        4        True   True    ScalerActive"; status != 0 || !strings.Contains(list, want) {
		t.Errorf("status %d and\n%s\nwant %s", status, list, want)
	}
	watched(t, args)
	// Here weir is no pod, to which a Service could lead.
	args[len(args)-1] = "--kubeconfig=" + cluster.Kubeconfig
	if out, status := asked(t, append([]string{"explain", "--output=json"}, args...)...); status != 0 || !strings.Contains(out, "does not exist, or leads to no replica") ||
		!strings.Contains(out, `"from": "externalMetrics"`) {
		t.Errorf("status %d and %s", status, out)
	}
	if out, status := asked(t, "explain", "nothing", "--namespace="+ns, "--kubeconfig="+config); status != explain.StatusFailed || !strings.Contains(out, `no ScaledObject or ScaledJob "nothing"`) {
		t.Errorf("status %d and %s", status, out)
	}
	if out, status := asked(t, "status", "-A", "--kubeconfig="+config); status != explain.StatusFailed || !strings.Contains(out, "not allowed (needs list scaledobjects.keda.sh)") {
		t.Errorf("status %d and %s", status, out)
	}
	if out, status := asked(t, "explain"); status != explain.StatusUsage {
		t.Errorf("status %d and %s", status, out)
	}
}
