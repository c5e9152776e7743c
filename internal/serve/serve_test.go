package serve

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

func TestBadFlagsAreRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--concurrency=0":                 "--concurrency must be at least 1",
		"--namespace= --concurrency=-1":   "--namespace must not be empty\n--concurrency must be at least 1",
		"--log-level=loud":                "--log-level must be debug, info, warn or error",
		"--log-format=xml":                "--log-format must be text or json",
		"--no-such-flag":                  "unknown flag: --no-such-flag",
		"extra":                           `unknown command "extra" for "serve"`,
		"--kubeconfig=/nonexistent/weir0": "finding the API server: stat /nonexistent/weir0: no such file or directory; give --kubeconfig, or run inside a cluster",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			cmd := NewCommand(Config{Getenv: func(key string) string {
				if key == "GOGC" {
					return "100" // the test's own process keeps its settings
				}
				return ""
			}, Log: io.Discard})
			cmd.SetArgs(strings.Fields(args))
			cmd.SetOut(io.Discard)
			cmd.SetErr(io.Discard)
			if err := cmd.ExecuteContext(t.Context()); err == nil || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
		})
	}
}

func TestTheEnvironmentGivesDefaults(t *testing.T) {
	t.Parallel()
	env := map[string]string{"POD_NAMESPACE": "ours", "WATCH_NAMESPACE": ` "a, b,,c" `, "KEDA_CLUSTER_OBJECT_NAMESPACE": "shared"}
	cmd := NewCommand(Config{Getenv: func(key string) string { return strings.TrimSpace(env[key]) }, Log: io.Discard})
	for flag, want := range map[string]string{
		"namespace": "ours", "watch-namespace": "[a,b,c]", "cluster-object-namespace": "shared", "leader-elect": "true",
	} {
		if got := cmd.Flag(flag).Value.String(); got != want {
			t.Errorf("--%s is %s, want %s", flag, got, want)
		}
	}
	o := &options{namespace: "ours", concurrency: 1}
	if err := o.check(); err != nil || o.clusterNamespace != "ours" || o.leaseNamespace != "ours" {
		t.Errorf("%v, and Secrets of cluster-wide objects are looked up in %q, the Lease in %q", err, o.clusterNamespace, o.leaseNamespace)
	}
}

func TestLibrariesAreQuietUnlessDebugging(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := newLogger(&options{logLevel: "info", logFormat: "json"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	library := slog.New(fromWarn{log.Handler()}).With(slog.String("a", "b")).WithGroup("g")
	library.InfoContext(context.Background(), "cache synced")
	library.WarnContext(context.Background(), "watch failed", slog.String("c", "d"))
	if got := out.String(); strings.Contains(got, "synced") || !strings.Contains(got, `"a":"b","g":{"c":"d"}`) {
		t.Errorf("logged %s", got)
	}
}

func TestTheCacheKeepsWhatIsLookedAt(t *testing.T) {
	t.Parallel()
	replicas := int32(3)
	env := []corev1.EnvVar{{Name: "A", Value: "1"}}
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "large", Env: env}}}}
	meta := metav1.ObjectMeta{Name: "x", Generation: 2, Annotations: map[string]string{"a": "b"}, ManagedFields: []metav1.ManagedFieldsEntry{{}}}

	d := &appsv1.Deployment{ObjectMeta: *meta.DeepCopy(), Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: template}}
	s := &appsv1.StatefulSet{ObjectMeta: *meta.DeepCopy(), Spec: appsv1.StatefulSetSpec{Replicas: &replicas, Template: template}}
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: *meta.DeepCopy(), Status: autoscalingv2.HorizontalPodAutoscalerStatus{
		DesiredReplicas: 4, Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScalingActive}},
	}}
	so := &v1alpha1.ScaledObject{ObjectMeta: *meta.DeepCopy()}
	so.Annotations["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
	for _, strip := range []struct {
		f func(any) (any, error)
		o any
	}{{stripDeployment, d}, {stripStatefulSet, s}, {stripHPA, h}, {strip, so}} {
		if out, err := strip.f(strip.o); err != nil || out != strip.o {
			t.Errorf("%T: %v", strip.o, err)
		}
	}
	for name, spec := range map[string]corev1.PodSpec{"Deployment": d.Spec.Template.Spec, "StatefulSet": s.Spec.Template.Spec} {
		if c := spec.Containers[0]; c.Name != "main" || c.Image != "" || !slices.Equal(c.Env, env) {
			t.Errorf("the container of the %s is %+v", name, c)
		}
	}
	if *d.Spec.Replicas != 3 || *s.Spec.Replicas != 3 || d.Generation != 2 || d.Annotations != nil || d.ManagedFields != nil {
		t.Errorf("the Deployment is %+v", d)
	}
	if len(h.Status.Conditions) != 1 || h.Status.DesiredReplicas != 0 || h.Annotations["a"] != "b" {
		t.Errorf("the HPA is %+v", h)
	}
	if len(so.Annotations) != 1 || so.ManagedFields != nil {
		t.Errorf("the ScaledObject is %+v", so.ObjectMeta)
	}
	if o := cacheOptions([]string{"a", "b"}); len(o.DefaultNamespaces) != 2 || len(cacheOptions(nil).DefaultNamespaces) != 0 {
		t.Errorf("namespaces %v", o.DefaultNamespaces)
	}
}
