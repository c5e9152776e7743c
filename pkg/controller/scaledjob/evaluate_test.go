package scaledjob_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ready   = "True ScaledJobReady: the object is ready for scaling"
	active  = "True ScalerActive: at least one trigger has work"
	atRest  = "False ScalerNotActive: no trigger has work"
	created = "Normal KEDAJobsCreated: created "
	hasWork = "1 of 1 trigger has work: s0-fake-jobs has "
)

func TestWorkBecomesJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) { sj.Finalizers = nil }))
	w.pass()
	w.does("patch ScaledJob a", "status of ScaledJob a")
	w.Tells("Normal KEDAScalersStarted: measuring s0-fake-jobs every 30s")
	w.says("Ready", "", "Active", "", "Paused", "False")
	equal(t, "uses", len(w.engine.Uses["scaledjob/ns/a"]), 1)
	equal(t, "watches while there is no work", w.engine.Uses["scaledjob/ns/a"][0].Watch, true)

	w.polls(time.Second, 0)
	w.does("status of ScaledJob a")
	w.Tells("Normal ScaledJobReady: the object is ready for scaling")
	w.says("Ready", ready, "Active", atRest)

	w.polls(time.Second, 5)
	w.does("create Job x5", "status of ScaledJob a")
	message := hasWork + "5 (target 1); 5 Jobs wanted, 0 unfinished, at most 100 (default): creating 5"
	w.Tells(created+"5 Jobs: "+message, "Normal ScaledJobActive: "+message)
	w.says("Ready", ready, "Active", active)
	equal(t, "watches while there is work", w.engine.Uses["scaledjob/ns/a"][0].Watch, false)
	w.has(5, 0)

	// The same reading, the same Jobs, and Jobs that ended since: nothing more.
	w.pass()
	w.finish(2, batchv1.JobComplete)
	w.pass()
	w.does()
	w.Tells()

	w.polls(30*time.Second, 4)
	w.does("create Job")
	w.Tells(created + "1 Job: " + hasWork + "4 (target 1); 4 Jobs wanted, 3 unfinished, at most 100 (default): creating 1")

	w.finish(4, batchv1.JobFailed)
	w.polls(30*time.Second, 0)
	w.does("status of ScaledJob a")
	w.Tells("Normal ScaledJobInactive: no work in 1 trigger: s0-fake-jobs has 0 (target 1)")
	w.says("Active", atRest)
	equal(t, "lastActiveTime", w.object().Status.LastActiveTime.UTC(), scaledtest.Start().Add(32*time.Second))
	for range 3 {
		w.polls(30*time.Second, 0)
	}
	w.asks()
	w.Tells()
}

func TestTheStatusAndTheJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) {
		sj.Labels = map[string]string{"team": "x", "cost": "1", "app.kubernetes.io/managed-by": "helm", "scaledjob.keda.sh/name": "other"}
		sj.Annotations = map[string]string{
			"scaledjob.keda.sh/job-excluded-labels": "cost,none", "kubectl.kubernetes.io/last-applied-configuration": "{}",
			"scaledjob.keda.sh/generation": "99", "note": "n",
		}
		sj.Spec.JobTargetRef.Template.Labels = map[string]string{"app": "w", "scaledjob.keda.sh/name": "other"}
		sj.Spec.JobTargetRef.BackoffLimit = new(int32(3))
		sj.Spec.Triggers = append(sj.Spec.Triggers, on("more"))
	}))
	w.pass()
	w.breaks("more", errors.New("connection refused"))
	w.polls(time.Second, 1)
	got := w.object().Status
	for i := range got.Conditions {
		got.Conditions[i].LastTransitionTime = nil
	}
	const status = `authenticationsTypes: ""
conditions:
- message: at least one trigger has work
  observedGeneration: 1
  reason: ScalerActive
  status: "True"
  type: Active
- observedGeneration: 1
  status: "False"
  type: Paused
- message: s1-fake-more cannot be read (connection refused)
  observedGeneration: 1
  reason: PartialTriggerError
  status: Unknown
  type: Ready
externalMetricNames:
- s0-fake-jobs
- s1-fake-more
lastActiveTime: "2026-03-04T05:06:08Z"
observedGeneration: 1
triggersActivity:
  s0-fake-jobs:
    isActive: true
  s1-fake-more:
    isActive: false
triggersTypes: fake
`
	sorted(&got)
	equal(t, "status", scaledtest.YAML(t, got), status)
	made := w.jobs()[0]
	if !strings.HasPrefix(made.Name, "a-") || len(made.Name) != 7 {
		t.Errorf("the Job is called %q", made.Name)
	}
	made.Name, made.UID, made.ResourceVersion, made.CreationTimestamp = "", "", "", metav1.Time{}
	const manifest = `metadata:
  annotations:
    note: "n"
    scaledjob.keda.sh/generation: "1"
    scaledjob.keda.sh/job-excluded-labels: cost,none
  generateName: a-
  labels:
    app.kubernetes.io/managed-by: keda-operator
    app.kubernetes.io/name: a
    app.kubernetes.io/part-of: a
    app.kubernetes.io/version: 1.2.3
    scaledjob.keda.sh/name: a
    team: x
  namespace: ns
  ownerReferences:
  - apiVersion: keda.sh/v1alpha1
    blockOwnerDeletion: true
    controller: true
    kind: ScaledJob
    name: a
    uid: uid-a
spec:
  backoffLimit: 3
  template:
    metadata:
      generateName: a-
      labels:
        app: w
        scaledjob.keda.sh/name: a
    spec:
      containers:
      - image: worker:1
        name: main
        resources: {}
      restartPolicy: OnFailure
status: {}
`
	equal(t, "Job", scaledtest.YAML(t, made), manifest)
}

// sorted brings conditions into an order.
func sorted(s *v1alpha1.ScaledJobStatus) {
	var out []v1alpha1.Condition
	for _, want := range []v1alpha1.ConditionType{v1alpha1.ConditionActive, v1alpha1.ConditionFallback, v1alpha1.ConditionPaused, v1alpha1.ConditionReady} {
		if c := v1alpha1.FindCondition(s.Conditions, want); c != nil {
			out = append(out, *c)
		}
	}
	s.Conditions = out
}

func TestFailingTriggers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) { sj.Spec.Triggers = append(sj.Spec.Triggers, on("more")) }))
	w.reads("more", 0)
	w.polls(0, 0)
	w.settles()

	w.breaks("jobs", errors.New("connection refused"))
	w.pass()
	w.does("status of ScaledJob a")
	w.Tells("Warning KEDAScalerFailed: s0-fake-jobs: connection refused")
	w.says("Ready", "False TriggerError: s0-fake-jobs cannot be read (connection refused)", "Active", "False ScalerNotActive: no trigger is known to have work")

	// The other acts alone.
	w.reads("more", 2)
	w.pass()
	w.does("create Job x2", "status of ScaledJob a")
	w.says("Ready", "Unknown PartialTriggerError: s0-fake-jobs cannot be read (connection refused)", "Active", active)
	w.has(2, 0)
	w.forgets()

	w.reads("more", 2)
	w.polls(time.Second, 1)
	w.does("status of ScaledJob a")
	w.Tells("Normal ScaledJobReady: the object is ready for scaling")
	snap, _ := w.r.Snapshot("ns", "a")
	equal(t, "errors", snap.Errors, 1)

	// Silence is no work, and no reason to stop either.
	w.now = w.now.Add(10 * time.Minute)
	w.pass()
	w.does("status of ScaledJob a")
	const silent = "it has not been measured for longer than allowed; see the log of weir for its source"
	w.says("Ready", "False TriggerError: s0-fake-jobs cannot be read ("+silent+"), s1-fake-more cannot be read ("+silent+")")
	w.has(2, 0)
}

func TestAMinimum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(between(2, 5)))
	w.pass()
	w.asks("list Job", "create Job x2", "status of ScaledJob a")
	w.says("Ready", "", "Active", "True ScalerActive: minReplicaCount asks for Jobs without work")
	w.polls(time.Second, 0)
	w.says("Ready", ready)
	w.forgets()

	// One that ended is replaced without waiting for a poll.
	w.finish(1, batchv1.JobComplete)
	w.syncs()
	w.Same("asked for", w.queue.Taken(), []string{"a"})
	w.pass()
	w.does("create Job")
	w.has(2, 1)
	w.polls(30*time.Second, 50)
	w.does("create Job x3", "status of ScaledJob a")
	w.has(5, 1)
	w.polls(30*time.Second, 50)
	w.does()
}

func TestStrategiesThatDoNotDeductAllJobsCreateOncePerInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(strategy(v1alpha1.StrategyAccurate), between(0, 50)))
	w.pass()
	w.polls(time.Second, 3)
	w.does("status of ScaledJob a", "create Job x3", "status of ScaledJob a")
	w.runs(3)

	// A signal a second later, and the poll.
	equal(t, "looks again after", w.polls(time.Second, 3), 26*time.Second)
	w.does()
	w.polls(26*time.Second, 3)
	w.does("create Job x3")

	// Pending Jobs are deducted.
	w.polls(30*time.Second, 5)
	w.does("create Job x2")
	w.has(8, 0)

	// What the process before created counts as a round.
	w.runs(5)
	last := w.jobs()[0]
	last.CreationTimestamp = metav1.NewTime(w.now.Add(time.Hour)) // by a clock that is wrong
	if err := w.api.Update(t.Context(), &last); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.pass()
	w.polls(time.Second, 5)
	w.does()
	w.has(8, 0)
	w.polls(27*time.Second, 5)
	w.does("create Job x5")
}

// runs gives n Jobs without a pod one that runs.
func (w *world) runs(n int) {
	w.T.Helper()
	for _, j := range w.jobs() {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: j.Name, Labels: map[string]string{v1alpha1.LabelScaledJobName: "a", "job-name": j.Name}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning},
		}
		if n > 0 && w.api.Create(w.T.Context(), p) == nil {
			n--
		}
	}
}

func TestPendingPodConditions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, job("j1", 1, "", 0), job("j2", 1, "", 0), job("j3", 1, "", 0), job("j4", 1, batchv1.JobComplete, 0), scaledJob(strategy(v1alpha1.StrategyAccurate), func(sj *v1alpha1.ScaledJob) {
		sj.Spec.ScalingStrategy.PendingPodConditions = []string{"Ready", "PodScheduled"}
	}))
	pod := func(of string, conditions ...corev1.PodConditionType) {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: of, Labels: map[string]string{v1alpha1.LabelScaledJobName: "a", batchv1.JobNameLabel: of}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: "Other", Status: corev1.ConditionFalse}}},
		}
		for _, c := range conditions {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: c, Status: corev1.ConditionTrue})
		}
		if err := w.api.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	pod("j1", corev1.PodScheduled)
	pod("j2", corev1.PodScheduled, corev1.PodReady)
	w.pass()
	w.polls(time.Second, 10) // j1 and j3 are pending
	w.has(3+8, 1)
}

func TestAnUpstreamThatNamesItsMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) {
		sj.Spec.Triggers = []v1alpha1.Trigger{
			{Type: "named", Metadata: map[string]string{"name": "n"}}, {Type: "cpu", Metadata: map[string]string{"value": "50"}},
		}
	}))
	w.pass()
	equal(t, "uses", len(w.engine.Uses["scaledjob/ns/a"]), 1)
	q := w.engine.Uses["scaledjob/ns/a"][0].Query
	w.engine.Samples[q] = engine.Sample{
		OK: true, Activity: busy, Measured: w.now,
		Metrics: []metric{{Name: "left", Target: 10, Value: 20}, {Name: "none", Value: 900}, {Name: "right", Target: 2, Value: 6}},
	}
	w.pass()
	w.has(3, 0)
	equal(t, "names", strings.Join(w.object().Status.ExternalMetricNames, " "), "s0-left s0-none s0-right")
	w.restart()
	w.pass()
	equal(t, "names after a restart", strings.Join(w.object().Status.ExternalMetricNames, " "), "s0-left s0-none s0-right")
}
