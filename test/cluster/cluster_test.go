package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// asCommand makes the test binary the command itself, so that the tests run
// the real thing as a process without linking it twice.
const asCommand = "WEIR_TESTCLUSTER_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// bed is a started cluster.
type bed struct {
	*kubernetes.Clientset
	cmd    *exec.Cmd
	dir    string
	ended  chan struct{} // closed when the process has ended
	exited error         // what Wait returned; read after ended
}

// start starts a cluster and waits for it; the test's end kills it.
func start(t *testing.T, args ...string) *bed {
	t.Helper()
	b := &bed{dir: t.TempDir(), ended: make(chan struct{})}
	began := time.Now()
	b.cmd = exec.Command(os.Args[0], append([]string{"--dir=" + b.dir, "--exit-with-parent"}, args...)...)
	b.cmd.Env = append(os.Environ(), asCommand+"=1")
	b.cmd.Stderr = os.Stderr
	stdin, err := b.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kubeconfig := make(chan string, 1)
	go func() {
		defer close(b.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			t.Log(lines.Text())
			if path, ok := strings.CutPrefix(lines.Text(), "KUBECONFIG="); ok {
				kubeconfig <- path
			}
		}
		b.exited = b.cmd.Wait()
	}()
	t.Cleanup(func() {
		if err := stdin.Close(); err != nil {
			t.Log(err) // it has ended already
		}
		<-b.ended
	})
	select {
	case path := <-kubeconfig:
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		b.Clientset = kubernetes.NewForConfigOrDie(config)
		t.Logf("ready after %.1f s", time.Since(began).Seconds())
	case <-b.ended:
		t.Fatal("the cluster ended before it was ready")
	case <-time.After(startTimeout):
		t.Fatal("the cluster was not ready in time")
	}
	return b
}

// eventually polls until done returns nil; the server cannot call us back.
func eventually(t *testing.T, limit time.Duration, done func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := done()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// worker writes its process ids and its secret to $OUT/$POD, and "terminated"
// when it is asked to end. Kubernetes makes $$ of $$$$.
const worker = `trap 'echo terminated >>"$OUT/$POD"; exit 0' TERM
sleep 1000 & echo "$$$$ $! $TOKEN" >"$OUT/$POD"; wait`

// podSpec is a pod that runs a shell script with the variables.
func podSpec(policy v1.RestartPolicy, script string, env ...v1.EnvVar) v1.PodSpec {
	return v1.PodSpec{
		RestartPolicy: policy,
		NodeSelector:  map[string]string{"weir.sh/node": "host"},
		Containers:    []v1.Container{{Name: "main", Image: "none", Command: []string{"sh", "-c", script}, Env: env}},
	}
}

func workerEnv(out string) []v1.EnvVar {
	return []v1.EnvVar{
		{Name: "POD", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		{Name: "OUT", Value: out},
		{Name: "TOKEN", ValueFrom: &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{
			LocalObjectReference: v1.LocalObjectReference{Name: "worker"}, Key: "token",
		}}},
	}
}

// pids reads the process ids that a worker wrote.
func pids(out, pod string) (ids []int, err error) {
	content, err := os.ReadFile(filepath.Join(out, pod))
	if err != nil {
		return nil, err
	}
	words := strings.Fields(string(content))
	if len(words) < 3 {
		return nil, fmt.Errorf("%s wrote %q", pod, content)
	}
	for _, w := range words[:2] {
		id, err := strconv.Atoi(w)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// gone returns an error while one of the processes exists.
func gone(ids []int) error {
	for _, id := range ids {
		// A process that nobody has reaped has ended, too.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			return fmt.Errorf("process %d still runs", id)
		}
	}
	return nil
}

// startWorker starts one worker pod in the namespace default and returns its processes.
func (b *bed) startWorker(t *testing.T) []int {
	t.Helper()
	out := t.TempDir()
	b.createSecret(t, "default", "worker", "token", "t0ken")
	b.createPod(t, "default", "solo", podSpec(v1.RestartPolicyAlways, worker, workerEnv(out)...))
	var ids []int
	eventually(t, 10*time.Second, func() (err error) {
		ids, err = pids(out, "solo")
		return err
	})
	return ids
}

func (b *bed) createSecret(t *testing.T, namespace, name, key, value string) {
	t.Helper()
	s := &v1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{key: value}}
	if _, err := b.CoreV1().Secrets(namespace).Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) createPod(t *testing.T, namespace, name string, spec v1.PodSpec) {
	t.Helper()
	p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	if _, err := b.CoreV1().Pods(namespace).Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestSIGTERMEndsTheClusterAndItsPodsWithinThreeSeconds(t *testing.T) {
	t.Parallel()
	b := start(t)
	ids := b.startWorker(t)
	began := time.Now()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-b.ended
	if b.exited != nil {
		t.Errorf("exit: %v", b.exited)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := gone(ids); err != nil {
		t.Error(err)
	}
}

func TestKillingTheClusterKillsItsPodsAndTheirChildren(t *testing.T) {
	t.Parallel()
	b := start(t)
	ids := b.startWorker(t)
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-b.ended
	eventually(t, 3*time.Second, func() error { return gone(ids) })
}
