//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// jobObject creates Jobs by the length of the list "jobs".
const jobObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: {{.Name}}}
spec:
  pollingInterval: 2
  maxReplicaCount: {{.Max}}
  successfulJobsHistoryLimit: {{.Keep}}
  failedJobsHistoryLimit: {{.Keep}}
  jobTargetRef:
    backoffLimit: 0
    template:
      spec:
        nodeSelector: {weir.sh/node: host}
        restartPolicy: Never
        terminationGracePeriodSeconds: 1
        containers:
        - name: main
          image: none
          command: {{.Command}}
          env:
          - {name: REDIS_ADDRESS, value: "{{.Address}}"}
          - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  triggers:
  - type: redis
    metadata: {addressFromEnv: REDIS_ADDRESS, listName: jobs, listLength: "1"}`

// oneMessage takes a message from the list and ends.
const oneMessage = "[weir-demo-worker, --kind=redis, --list=jobs, --messages=1, --work=300ms]"

var scaledJobs = schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: "scaledjobs"}

// jobs returns the Jobs of a namespace and how many of them run, are complete and
// have failed.
func jobs(t *testing.T, namespace string) (list []batchv1.Job, running, complete, failed int) {
	t.Helper()
	found, err := cluster.Client().BatchV1().Jobs(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range found.Items {
		end := ""
		for _, c := range j.Status.Conditions {
			if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
				end = string(c.Type)
			}
		}
		switch end {
		case "Complete":
			complete++
		case "Failed":
			failed++
		default:
			running++
		}
	}
	return found.Items, running, complete, failed
}

// awaitJobs waits until ok holds for the Jobs of a namespace.
func awaitJobs(t *testing.T, within time.Duration, namespace, what string, ok func(running, complete, failed int) bool) {
	t.Helper()
	cluster.WaitFor(t, within, "Jobs: "+what, func() error {
		if _, running, complete, failed := jobs(t, namespace); !ok(running, complete, failed) {
			return fmt.Errorf("%d run, %d are complete, %d have failed", running, complete, failed)
		}
		return nil
	})
}

// jobCondition waits until a condition of a ScaledJob has a status and a reason,
// given with a slash between.
func jobCondition(t *testing.T, namespace, name string, typ v1alpha1.ConditionType, want string) {
	t.Helper()
	cluster.WaitFor(t, 20*time.Second, fmt.Sprintf("%s %s=%s", name, typ, want), func() error {
		c := v1alpha1.FindCondition(scaledJob(t, namespace, name).Status.Conditions, typ)
		if c == nil || string(c.Status)+"/"+c.Reason != want {
			return fmt.Errorf("it is %+v", c)
		}
		return nil
	})
}

func scaledJob(t *testing.T, namespace, name string) *v1alpha1.ScaledJob {
	t.Helper()
	u, err := objects.Resource(scaledJobs).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sj := new(v1alpha1.ScaledJob)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, sj); err != nil {
		t.Fatal(err)
	}
	return sj
}

func TestAHundredMessagesAreAHundredJobs(t *testing.T) {
	const messages, most = 100, 15
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	apply(t, ns, jobObject, values{"Name": "hundred", "Max": most, "Keep": 2 * messages, "Command": oneMessage, "Address": s.Addr()})
	jobCondition(t, ns, "hundred", v1alpha1.ConditionReady, "True/ScaledJobReady")
	jobCondition(t, ns, "hundred", v1alpha1.ConditionActive, "False/ScalerNotActive")

	began := time.Now()
	push(t, s, messages)
	worst := 0
	until := func(done int) {
		t.Helper()
		awaitJobs(t, 3*time.Minute, ns, strconv.Itoa(done)+" complete", func(running, complete, _ int) bool {
			worst = max(worst, running)
			return complete >= done
		})
	}
	for _, done := range []int{5, 45} {
		until(done)
		if err := weir.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := weir.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	until(messages)
	t.Logf("%d messages in %s, at most %d Jobs at a time", messages, time.Since(began), worst)
	time.Sleep(3 * 2 * time.Second) // polls that must create nothing
	list, running, complete, failed := jobs(t, ns)
	if len(list) != messages || complete != messages || running != 0 || failed != 0 {
		t.Errorf("%d Jobs: %d run, %d are complete, %d have failed; want %d complete", len(list), running, complete, failed, messages)
	}
	if worst > most {
		t.Errorf("%d Jobs at a time, at most %d may be", worst, most)
	}
	if left := cli(t, s, "KEYS", "*"); left != "" {
		t.Errorf("lists are left: %s", left)
	}
	jobCondition(t, ns, "hundred", v1alpha1.ConditionActive, "False/ScalerNotActive")
	status := scaledJob(t, ns, "hundred").Status
	if got := strings.Join(status.ExternalMetricNames, ","); got != "s0-redis-jobs" || status.LastActiveTime == nil {
		t.Errorf("status: metrics %q, last active %v", got, status.LastActiveTime)
	}
}

func TestJobsPauseAndRollOut(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	apply(t, ns, jobObject, values{"Name": "long", "Max": 10, "Keep": 10, "Command": "[sleep, infinity]", "Address": s.Addr()})
	push(t, s, 3)
	awaitJobs(t, 20*time.Second, ns, "3 run", func(running, _, _ int) bool { return running == 3 })

	pause := func(value any) {
		patch(t, scaledJobs, ns, "long", map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationPaused: value}}})
	}
	pause("true")
	jobCondition(t, ns, "long", v1alpha1.ConditionPaused, "True/ScaledJobPaused")
	push(t, s, 2)
	time.Sleep(5 * time.Second) // more than two polls
	before, running, _, _ := jobs(t, ns)
	if running != 3 {
		t.Errorf("%d Jobs run while paused, 3 did before", running)
	}
	pause(nil)
	awaitJobs(t, 5*time.Second, ns, "5 run after the pause", func(running, _, _ int) bool { return running == 5 })
	jobCondition(t, ns, "long", v1alpha1.ConditionPaused, "False/ScaledJobUnpaused")

	// Labels and a restart leave the Jobs alone.
	patch(t, scaledJobs, ns, "long", map[string]any{"metadata": map[string]any{"labels": map[string]any{"x": "y"}}})
	if err := weir.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := weir.Restart(); err != nil {
		t.Fatal(err)
	}
	push(t, s, 1)
	awaitJobs(t, 30*time.Second, ns, "one more after a restart", func(running, _, _ int) bool { return running == 6 })
	kept, _, _, _ := jobs(t, ns)
	for _, old := range before {
		if !has(kept, old) {
			t.Errorf("Job %s is gone; only a new spec may delete it", old.Name)
		}
	}

	// Gradual lets them be, immediate does not.
	patch(t, scaledJobs, ns, "long", map[string]any{"spec": map[string]any{"rollout": map[string]any{"strategy": "gradual"}}})
	generation := scaledJob(t, ns, "long").Generation
	cluster.WaitFor(t, 10*time.Second, "the new spec to be in force", func() error {
		if seen := scaledJob(t, ns, "long").Status.ObservedGeneration; seen != generation {
			return fmt.Errorf("generation %d of %d", seen, generation)
		}
		return nil
	})
	if now, _, _, _ := jobs(t, ns); len(now) != 6 || !has(now, kept[0]) {
		t.Errorf("a gradual rollout left %d of 6 Jobs", len(now))
	}
	patch(t, scaledJobs, ns, "long", map[string]any{"spec": map[string]any{"rollout": map[string]any{"strategy": "immediate", "propagationPolicy": "foreground"}}})
	cluster.WaitFor(t, 30*time.Second, "6 Jobs of the new generation", func() error {
		now, running, _, _ := jobs(t, ns)
		for _, j := range now {
			if j.Annotations[v1alpha1.AnnotationScaledJobGeneration] != strconv.FormatInt(generation+1, 10) {
				return fmt.Errorf("Job %s is of generation %s", j.Name, j.Annotations[v1alpha1.AnnotationScaledJobGeneration])
			}
		}
		if running != 6 {
			return fmt.Errorf("%d run", running)
		}
		return nil
	})
	if err := objects.Resource(scaledJobs).Namespace(ns).Delete(t.Context(), "long", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	cluster.WaitFor(t, 20*time.Second, "the ScaledJob to go", func() error {
		list, err := objects.Resource(scaledJobs).Namespace(ns).List(t.Context(), metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("it is there")
		}
		return err
	})
}

// has reports whether a Job is in a list.
func has(list []batchv1.Job, j batchv1.Job) bool {
	for _, other := range list {
		if other.UID == j.UID {
			return true
		}
	}
	return false
}

func TestJobsThatEndedAreKeptUpToTheLimits(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	v := values{"Name": "kept", "Max": 10, "Keep": 2, "Command": oneMessage, "Address": s.Addr()}
	apply(t, ns, jobObject, v)
	push(t, s, 6)
	awaitJobs(t, time.Minute, ns, "2 of 6 are left", func(running, complete, _ int) bool {
		return running == 0 && complete == 2 && cli(t, s, "KEYS", "*") == ""
	})

	v["Command"], v["Max"] = "[sh, -c, exit 3]", 3
	apply(t, ns, jobObject, v)
	push(t, s, 1)
	awaitJobs(t, time.Minute, ns, "2 that failed are left", func(_, complete, failed int) bool { return complete == 0 && failed == 2 })
	cli(t, s, "DEL", "jobs")
	awaitJobs(t, 20*time.Second, ns, "none runs any more", func(running, _, failed int) bool { return running == 0 && failed == 2 })
}

func TestAccurateJobsFillUpPollByPoll(t *testing.T) {
	ns, s := cluster.NewNamespace(t), startRedis(t, redis.Options{})
	v := values{"Name": "accurate", "Max": 7, "Keep": 2, "Command": "[sleep, infinity]", "Address": s.Addr()}
	apply(t, ns, strings.Replace(render(t, jobObject, v), "  jobTargetRef:", "  scalingStrategy: {strategy: accurate}\n  jobTargetRef:", 1), nil)
	push(t, s, 3) // nobody takes them
	for _, want := range []int{3, 6, 7} {
		began := time.Now()
		awaitJobs(t, 20*time.Second, ns, fmt.Sprintf("%d run", want), func(running, _, _ int) bool { return running == want })
		t.Logf("%d Jobs after %s more", want, time.Since(began))
	}
	time.Sleep(5 * time.Second) // more than two polls
	if _, running, _, _ := jobs(t, ns); running != 7 {
		t.Errorf("%d Jobs run, at most 7 may", running)
	}
}
