//go:build e2e

package testcluster_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-sh/weir/internal/testcluster"
)

// TestAClusterServesATestAndGoes starts a cluster with both kinds of nodes.
func TestAClusterServesATestAndGoes(t *testing.T) {
	began := time.Now()
	c, err := testcluster.Start(t.Context(), testcluster.Options{KwokNodes: 1, Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(c.Dir); !os.IsNotExist(err) {
			t.Errorf("the cluster's folder is still there (%v)", err)
		}
	})
	t.Logf("started in %s", time.Since(began))
	ns := c.NewNamespace(t)
	for _, kind := range []string{"host", "kwok"} {
		runPod(t, c, ns, kind)
	}

	config, err := c.ServiceAccountConfig(t.Context(), ns, "default")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := testcluster.WriteKubeconfig(path, config); err != nil {
		t.Fatal(err)
	}
	config, err = clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	want := `pods is forbidden: User "system:serviceaccount:` + ns + `:default" cannot list resource "pods" in API group "" in the namespace "` + ns + `"`
	if !apierrors.IsForbidden(err) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// runPod runs a pod on a node of the kind until it is ready there.
func runPod(t *testing.T, c *testcluster.Cluster, ns, kind string) {
	t.Helper()
	pods := c.Client().CoreV1().Pods(ns)
	_, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: kind},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"weir.sh/node": kind},
			Tolerations:  []corev1.Toleration{{Key: "weir.sh/node", Operator: corev1.TolerationOpExists}},
			Containers:   []corev1.Container{{Name: "main", Image: "none", Command: []string{"sleep", "1000"}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.WaitFor(t, 20*time.Second, "the pod on a "+kind+" node", func() error {
		p, err := pods.Get(t.Context(), kind, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if p.Spec.NodeName != kind+"-0" || p.Status.Phase != corev1.PodRunning {
			return errors.New("the pod is " + string(p.Status.Phase))
		}
		return nil
	})
}
