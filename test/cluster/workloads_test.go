package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// space is a namespace of a cluster for one test.
type space struct {
	*bed
	t    *testing.T
	name string
}

func (b *bed) newSpace(t *testing.T, name string) *space {
	t.Helper()
	ns := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := b.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		_, err := b.CoreV1().ServiceAccounts(name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	return &space{bed: b, t: t, name: name}
}

func TestWorkloadsRunAsOnARealCluster(t *testing.T) {
	t.Parallel()
	audit := filepath.Join(t.TempDir(), "audit.log")
	b := start(t, "--hpa-sync-period=1s", "--audit-log="+audit, "--token=alice:dev")
	for _, test := range []struct {
		name string
		run  func(*space)
	}{
		{"a deployment runs processes with a secret in their environment", deploymentRuns},
		{"a job completes and a failing one reports its exit code", jobsEnd},
		{"a container waits for its secret", secretIsAwaited},
		{"a container that keeps failing backs off", crashLoopBacksOff},
		{"a process inherits no ignored signals", signalsAreDefault},
		{"init containers run first and in order", initsRunFirst},
		{"a volume is refused in words", volumeIsRefused},
		{"an unready container keeps the pod unready", readinessIsProbed},
		{"the HPA controller scales by an aggregated metrics API", hpaScales},
		{"a service account gets a token with no rights", tokenIsIssued},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			words := strings.Fields(test.name)
			test.run(b.newSpace(t, strings.ToLower(strings.Join(words[:3], "-"))))
		})
	}
	t.Cleanup(func() {
		log, err := os.ReadFile(audit)
		if err != nil || !strings.Contains(string(log), `"username":"system:serviceaccount:kube-system:deployment-controller"`) {
			t.Errorf("the audit log does not tell the deployment controller's writes (%d bytes, %v)", len(log), err)
		}
	})
}

func deploymentRuns(s *space) {
	t, out := s.t, s.t.TempDir()
	s.createSecret(t, s.name, "worker", "token", "t0ken")
	labels := map[string]string{"app": "worker"}
	spec := podSpec(v1.RestartPolicyAlways, worker, workerEnv(out)...)
	_, err := s.AppsV1().Deployments(s.name).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "worker"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(3)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: v1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var pods []os.DirEntry
	eventually(t, 20*time.Second, func() error {
		d, err := s.AppsV1().Deployments(s.name).Get(t.Context(), "worker", metav1.GetOptions{})
		if err != nil {
			return err
		}
		pods, err = os.ReadDir(out)
		if d.Status.AvailableReplicas != 3 || len(pods) != 3 {
			return fmt.Errorf("%d of 3 available, %d wrote: %w", d.Status.AvailableReplicas, len(pods), err)
		}
		return nil
	})
	victim := pods[0].Name()
	content, err := os.ReadFile(filepath.Join(out, victim))
	if err != nil || !strings.HasSuffix(string(content), " t0ken\n") {
		t.Errorf("the worker wrote %q, %v; want its secret", content, err)
	}
	ids, err := pids(out, victim)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CoreV1().Pods(s.name).Delete(t.Context(), victim, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		content, err := os.ReadFile(filepath.Join(out, victim))
		if err == nil && !strings.HasSuffix(string(content), "\nterminated\n") {
			err = fmt.Errorf("the worker wrote %q; want word of its SIGTERM", content)
		}
		return errors.Join(err, gone(ids))
	})
	eventually(t, 10*time.Second, func() error { return s.podIsGone(t.Context(), victim) })
}

func (s *space) podIsGone(ctx context.Context, name string) error {
	if _, err := s.CoreV1().Pods(s.name).Get(ctx, name, metav1.GetOptions{}); err == nil {
		return errors.New("the pod object is still there")
	}
	return nil
}

func jobsEnd(s *space) {
	t := s.t
	for name, script := range map[string]string{"good": "echo done", "bad": "echo no such queue; exit 3"} {
		spec := podSpec(v1.RestartPolicyNever, script)
		spec.Containers[0].TerminationMessagePolicy = v1.TerminationMessageFallbackToLogsOnError
		_, err := s.BatchV1().Jobs(s.name).Create(t.Context(), &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: batchv1.JobSpec{
				BackoffLimit: new(int32(0)), Completions: new(int32(2)), Parallelism: new(int32(2)),
				Template: v1.PodTemplateSpec{Spec: spec},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 20*time.Second, func() error {
		good, err1 := s.BatchV1().Jobs(s.name).Get(t.Context(), "good", metav1.GetOptions{})
		bad, err2 := s.BatchV1().Jobs(s.name).Get(t.Context(), "bad", metav1.GetOptions{})
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if good.Status.Succeeded != 2 || bad.Status.Failed < 1 {
			return fmt.Errorf("good: %+v, bad: %+v", good.Status, bad.Status)
		}
		return nil
	})
	pods, err := s.CoreV1().Pods(s.name).List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=bad"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if end := p.Status.ContainerStatuses[0].State.Terminated; p.Status.Phase == v1.PodFailed && end != nil &&
			end.ExitCode == 3 && end.Reason == "Error" && end.Message == "no such queue\n" {
			return
		}
	}
	t.Errorf("no pod failed with exit code 3 and its log as message: %+v", pods.Items)
}

func secretIsAwaited(s *space) {
	t := s.t
	s.createPod(t, s.name, "p", podSpec(v1.RestartPolicyAlways, "sleep 1000", workerEnv(t.TempDir())...))
	s.expect("p", func(p *v1.Pod, c v1.ContainerStatus) bool {
		w := c.State.Waiting
		return p.Status.Phase == v1.PodPending && w != nil && w.Reason == reasonConfig &&
			w.Message == `resolving env TOKEN: secrets "worker" not found`
	})
	s.createSecret(t, s.name, "worker", "token", "late")
	s.expect("p", func(p *v1.Pod, c v1.ContainerStatus) bool {
		return p.Status.Phase == v1.PodRunning && c.Ready && c.RestartCount == 0
	})
}

const reasonConfig = "CreateContainerConfigError"

func crashLoopBacksOff(s *space) {
	s.createPod(s.t, s.name, "p", podSpec(v1.RestartPolicyAlways, "exit 7"))
	s.expect("p", func(p *v1.Pod, c v1.ContainerStatus) bool {
		w, last := c.State.Waiting, c.LastTerminationState.Terminated
		return p.Status.Phase == v1.PodRunning && c.RestartCount == 1 && last != nil && last.ExitCode == 7 &&
			w != nil && w.Reason == "CrashLoopBackOff" && strings.HasPrefix(w.Message, "back-off 10s restarting failed container")
	})
}

// signalsAreDefault leaves out 32 and 33, which the C library keeps for itself: make
// has what it starts ignore them, and no program can tell.
func signalsAreDefault(s *space) {
	s.createPod(s.t, s.name, "p", podSpec(v1.RestartPolicyNever, `grep -qE '^SigIgn:[[:space:]]*0*(80000000|100000000|180000000)?$' /proc/self/status`))
	s.expect("p", func(p *v1.Pod, _ v1.ContainerStatus) bool { return p.Status.Phase == v1.PodSucceeded })
}

func initsRunFirst(s *space) {
	spec := podSpec(v1.RestartPolicyNever, `[ "$(cat order)" = "one
two" ]`)
	for _, word := range []string{"one", "two"} {
		spec.InitContainers = append(spec.InitContainers, v1.Container{
			Name: word, Image: "none", Command: []string{"sh", "-c", "echo $(WORD) >>order"}, Env: []v1.EnvVar{{Name: "WORD", Value: word}},
		})
	}
	s.createPod(s.t, s.name, "p", spec)
	s.expect("p", func(p *v1.Pod, _ v1.ContainerStatus) bool { return p.Status.Phase == v1.PodSucceeded })
}

func volumeIsRefused(s *space) {
	spec := podSpec(v1.RestartPolicyAlways, "sleep 1000")
	spec.Volumes = []v1.Volume{{Name: "data", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}
	spec.Containers[0].VolumeMounts = []v1.VolumeMount{{Name: "data", MountPath: "/data"}}
	s.createPod(s.t, s.name, "p", spec)
	s.expect("p", func(_ *v1.Pod, c v1.ContainerStatus) bool {
		w := c.State.Waiting
		return w != nil && w.Reason == reasonConfig && strings.HasPrefix(w.Message, `mounting volume "data" at /data: `)
	})
}

func readinessIsProbed(s *space) {
	out := s.t.TempDir()
	spec := podSpec(v1.RestartPolicyAlways, "sleep 1000", v1.EnvVar{Name: "OUT", Value: out})
	spec.Containers[0].ReadinessProbe = &v1.Probe{
		PeriodSeconds: 1,
		ProbeHandler:  v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"sh", "-c", `test -e "$OUT/ready"`}}},
	}
	s.createPod(s.t, s.name, "p", spec)
	ready := func(want v1.ConditionStatus) {
		s.t.Helper()
		s.expect("p", func(p *v1.Pod, c v1.ContainerStatus) bool {
			for _, cond := range p.Status.Conditions {
				if cond.Type == v1.PodReady {
					return c.State.Running != nil && cond.Status == want && c.Ready == (want == v1.ConditionTrue)
				}
			}
			return false
		})
	}
	ready(v1.ConditionFalse)
	if err := os.WriteFile(filepath.Join(out, "ready"), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
	ready(v1.ConditionTrue)
}

// expect waits until the pod is as wanted.
func (s *space) expect(name string, want func(*v1.Pod, v1.ContainerStatus) bool) {
	s.t.Helper()
	eventually(s.t, 20*time.Second, func() error {
		p, err := s.CoreV1().Pods(s.name).Get(s.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(p.Status.ContainerStatuses) != 1 || !want(p, p.Status.ContainerStatuses[0]) {
			return fmt.Errorf("the pod is %s: %+v", p.Status.Phase, p.Status.ContainerStatuses)
		}
		return nil
	})
}

func tokenIsIssued(s *space) {
	request := &authenticationv1.TokenRequest{}
	token, err := s.CoreV1().ServiceAccounts(s.name).CreateToken(s.t.Context(), "default", request, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	review, err := s.AuthenticationV1().TokenReviews().Create(s.t.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token}}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	if want := "system:serviceaccount:" + s.name + ":default"; review.Status.User.Username != want {
		s.t.Errorf("the token is that of %q, want %q", review.Status.User.Username, want)
	}
}
