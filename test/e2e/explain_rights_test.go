//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/internal/testcluster"
	"github.com/weir-sh/weir/pkg/explain"
)

// Where weir is installed.
const system = "weir-system"

// proxy passes requests on to an address, as its transport can.
func proxy(t *testing.T, to string, by http.RoundTripper) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: by}
}

// readOnly is a way to the API server on which only reads go through: anything else
// fails the test. It returns a kubeconfig for that way, with the token of another,
// and how many requests came.
func readOnly(t *testing.T, kubeconfig string) (string, *atomic.Int64) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	by, err := rest.TransportFor(rest.AnonymousClientConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	requests, next := new(atomic.Int64), proxy(t, config.Host, by)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Method != http.MethodGet {
			t.Errorf("weir asked to %s %s", r.Method, r.URL.Path)
			http.Error(w, "only reads", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := testcluster.WriteKubeconfig(file, &rest.Config{Host: s.URL, BearerToken: config.BearerToken, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}); err != nil {
		t.Fatal(err)
	}
	return file, requests
}

// outside returns an address of this machine that a Service may lead to: the API
// server refuses those of loopback.
func outside(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Skip("needs an IPv4 address other than loopback: the API server proxies to no other")
	return ""
}

// serviceLeadsToWeir makes the Service of weir what it is in a real cluster: a way
// to a pod. The pod is one in name only; behind its address is weir's process.
func serviceLeadsToWeir(t *testing.T) {
	t.Helper()
	client, ip := cluster.Client(), outside(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(proxy(t, weir.Debug, nil))
	if err := s.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	_, text, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}

	patch(t, corev1.SchemeGroupVersion.WithResource("services"), system, "weir", map[string]any{"spec": map[string]any{
		"type": "ClusterIP", "externalName": nil, "ports": []any{map[string]any{"name": "metrics", "port": 8080}},
	}})
	pods, slices := client.CoreV1().Pods(system), client.DiscoveryV1().EndpointSlices(system)
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "weir-process"},
		Spec: corev1.PodSpec{
			SchedulerName:   "none", // it never runs
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{Name: "weir", Image: "none", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	later(t, func(ctx context.Context) error {
		return pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
	})
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, ip, []corev1.PodIP{{IP: ip}}
	if _, err := pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := slices.Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "weir", Labels: map[string]string{discoveryv1.LabelServiceName: "weir"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{ip}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: system, Name: pod.Name}}},
		Ports:       []discoveryv1.EndpointPort{{Name: new("metrics"), Port: new(int32(port))}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	later(t, func(ctx context.Context) error { return slices.Delete(ctx, "weir", metav1.DeleteOptions{}) })
}

// later undoes something at the end of the test, whose context has ended then.
func later(t *testing.T, undo func(context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		if err := undo(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// bindShipped gives the user of viewer what docs/explain.md says: the Role of weir,
// and all namespaces to view.
func bindShipped(t *testing.T, namespace string) {
	t.Helper()
	client := cluster.Client().RbacV1()
	meta := metav1.ObjectMeta{Name: namespace}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "viewer"}}
	if _, err := client.RoleBindings(system).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "weir-explain"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	later(t, func(ctx context.Context) error {
		return client.RoleBindings(system).Delete(ctx, namespace, metav1.DeleteOptions{})
	})
	if _, err := client.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	later(t, func(ctx context.Context) error {
		return client.ClusterRoleBindings().Delete(ctx, namespace, metav1.DeleteOptions{})
	})
}

// plugin makes weir a plug-in of kubectl, and returns the program.
func plugin(t *testing.T) string {
	t.Helper()
	weir, err := exec.LookPath("weir")
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "kubectl-weir")
	if err := os.Symlink(weir, link); err != nil {
		t.Fatal(err)
	}
	return link
}

func TestExplainAsksWeirThroughTheAPIServerWithTheShippedRoles(t *testing.T) {
	serviceLeadsToWeir(t)
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	user := viewer(t, ns)
	config, requests := readOnly(t, user)
	v := values{"Name": "orders", "Replicas": 0, "Address": s.Addr(), "Polling": 1, "Cooldown": 60}
	apply(t, ns, idle, v)
	apply(t, ns, redisObject, v)
	push(t, s, 18)
	awaitReplicas(t, 30*time.Second, ns, "orders", "has work for 4", func(_, ready int32) bool { return ready == 4 })
	args := []string{"orders", "--namespace=" + ns, "--kubeconfig=" + config}
	report := func(check func(explain.Report) bool) error {
		out, status := asked(t, append([]string{"explain", "--output=json"}, args...)...)
		var r explain.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 || len(r.Triggers) != 1 || !check(r) {
			return fmt.Errorf("status %d, %w, and %s", status, err, out)
		}
		return nil
	}

	// Without the Role one part is missing, and the answer says which right gives it.
	missing := explain.Unseen{
		What: "weir's own view (decisions, ages, errors)",
		Why: `not allowed (needs get services/proxy of "http:weir:metrics" in namespace weir-system, as Role weir-explain allows); ask for it, ` +
			"or run kubectl -n weir-system port-forward service/weir 8080 and give --server=http://localhost:8080",
	}
	cluster.WaitFor(t, 20*time.Second, "the HPA to suit the work", func() error {
		return report(func(r explain.Report) bool {
			return r.State == explain.Steady && slices.Equal(r.Unseen, []explain.Unseen{missing}) && r.Triggers[0].From == "externalMetrics" && len(r.Decisions) == 0
		})
	})

	bindShipped(t, ns)
	cluster.WaitFor(t, 20*time.Second, "weir's own view", func() error {
		return report(func(r explain.Report) bool {
			return len(r.Unseen) == 0 && r.Triggers[0].From == "weir" && r.Triggers[0].Age != nil && len(r.Decisions) > 0
		})
	})
	want := ns + "/orders has 4 replicas, which suits s0-redis-jobs: "
	for _, program := range []string{"weir", plugin(t)} {
		out, status := ran(t, program, append([]string{"explain"}, args...)...)
		if status != 0 || !strings.HasPrefix(out, want) || !strings.Contains(out, "Last decisions\n") || strings.Contains(out, "Not seen") || strings.Contains(out, "\x1b") {
			t.Errorf("%s: status %d and\n%s", program, status, out)
		}
		// Others, whose sources may fail on purpose, decide about the exit status.
		out, _ = ran(t, program, "status", "--all-namespaces", "--kubeconfig="+config)
		if !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
			return strings.HasPrefix(strings.Join(strings.Fields(line), " "), ns+" orders so Deployment/orders 0 10 4 4 True True ")
		}) {
			t.Errorf("%s: no row of %s/orders in\n%s", program, ns, out)
		}
	}
	if requests.Load() == 0 {
		t.Error("nothing was asked for on the way that is watched")
	}
	narrow(t, user)
}

// narrow checks that the Role opens nothing beside what explain asks for.
func narrow(t *testing.T, kubeconfig string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	core := client.CoreV1().RESTClient()
	for name, request := range map[string]*rest.Request{
		"another name of the port":    core.Get().Name("weir:8080"),
		"another Service":             core.Get().Name("https:weir-webhooks:https"),
		"the Service without a port":  core.Get().Name("weir"),
		"a change by the right way":   core.Post().Name("http:weir:metrics"),
		"a removal by the right way":  core.Delete().Name("http:weir:metrics"),
		"the Service of its metrics":  core.Get().Name("https:weir-metrics-apiserver:https"),
		"the right Service, with TLS": core.Get().Name("https:weir:metrics"),
	} {
		if err := request.Namespace(system).Resource("services").SubResource("proxy").Do(t.Context()).Error(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want that it is forbidden", name, err)
		}
	}
}
