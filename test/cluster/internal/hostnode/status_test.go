package hostnode

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// states makes statuses from letters: w waiting, c waiting after a crash,
// r running, 0 ended well, 1 failed.
func states(letters string) (all []v1.ContainerStatus) {
	for _, l := range letters {
		var s v1.ContainerStatus
		switch l {
		case 'w', 'c':
			s.State.Waiting = &v1.ContainerStateWaiting{}
			if l == 'c' {
				s.LastTerminationState.Terminated = &v1.ContainerStateTerminated{ExitCode: 1}
			}
		case 'r':
			s.State.Running = &v1.ContainerStateRunning{}
		case '0', '1':
			s.State.Terminated = &v1.ContainerStateTerminated{ExitCode: l - '0'}
		}
		all = append(all, s)
	}
	return all
}

func TestPhaseFollowsTheContainers(t *testing.T) {
	t.Parallel()
	const always, onFailure, never = v1.RestartPolicyAlways, v1.RestartPolicyOnFailure, v1.RestartPolicyNever
	for _, test := range []struct {
		name         string
		policy       v1.RestartPolicy
		inits, mains string
		final        bool
		want         v1.PodPhase
	}{
		{"nothing has started", always, "", "ww", false, v1.PodPending},
		{"one still waits", always, "", "rw", false, v1.PodPending},
		{"all run", always, "", "rr", false, v1.PodRunning},
		{"one is in back-off", always, "", "rc", false, v1.PodRunning},
		{"the only one is in back-off", always, "", "c", false, v1.PodRunning},
		{"ended, will restart", always, "", "0", false, v1.PodRunning},
		{"failed, will restart", onFailure, "", "1", false, v1.PodRunning},
		{"one of two ended well", onFailure, "", "0r", false, v1.PodRunning},
		{"all ended well", onFailure, "", "00", false, v1.PodSucceeded},
		{"all ended well and never restart", never, "", "00", false, v1.PodSucceeded},
		{"one failed for good", never, "", "01", false, v1.PodFailed},
		{"one failed for good, one runs", never, "", "1r", false, v1.PodRunning},
		{"an init container runs", never, "r", "w", false, v1.PodPending},
		{"the second init container waits", never, "0w", "w", false, v1.PodPending},
		{"an init container will restart", onFailure, "1", "w", false, v1.PodPending},
		{"an init container failed for good", never, "1", "w", false, v1.PodFailed},
		{"init is done", always, "00", "r", false, v1.PodRunning},
		{"deleted and ended well", always, "", "0", true, v1.PodSucceeded},
		{"deleted and killed", always, "", "01", true, v1.PodFailed},
		{"deleted in back-off", always, "", "c", true, v1.PodFailed},
		{"deleted before it started", always, "", "w", true, v1.PodFailed},
		{"deleted while initialising", always, "w", "w", true, v1.PodFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := phase(test.policy, states(test.inits), states(test.mains), test.final); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestConditionsKeepTheTimeOfTheirLastTransition(t *testing.T) {
	t.Parallel()
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
	pod.Spec.RestartPolicy = v1.RestartPolicyAlways
	began := time.Unix(1000, 0)
	mains := states("r")
	first := podStatus(pod, nil, mains, false, nil, began)
	mains = states("r")
	mains[0].Ready = true
	second := podStatus(pod, nil, mains, false, first, began.Add(time.Minute))
	for _, test := range []struct {
		of        v1.PodConditionType
		was, is   v1.ConditionStatus
		wasReason string
		changed   bool
	}{
		{v1.PodInitialized, v1.ConditionTrue, v1.ConditionTrue, "", false},
		{v1.ContainersReady, v1.ConditionFalse, v1.ConditionTrue, "ContainersNotReady", true},
		{v1.PodReady, v1.ConditionFalse, v1.ConditionTrue, "ContainersNotReady", true},
	} {
		was, is := findCondition(first, test.of), findCondition(second, test.of)
		if was.Status != test.was || was.Reason != test.wasReason || is.Status != test.is || is.Reason != "" {
			t.Errorf("%s: was %s %q, is %s %q", test.of, was.Status, was.Reason, is.Status, is.Reason)
		}
		if changed := !is.LastTransitionTime.Equal(&was.LastTransitionTime); changed != test.changed {
			t.Errorf("%s: transition time changed: %t", test.of, changed)
		}
	}
	if !second.StartTime.Time.Equal(began) || second.ObservedGeneration != 3 {
		t.Errorf("start %s, generation %d", second.StartTime, second.ObservedGeneration)
	}
}

func TestAStatusPatchSaysOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	old := &v1.PodStatus{Phase: v1.PodPending, HostIP: address, Conditions: []v1.PodCondition{
		{Type: v1.PodReady, Status: v1.ConditionFalse, Reason: "ContainersNotReady"},
	}}
	next := old.DeepCopy()
	next.Phase = v1.PodRunning
	next.Conditions[0] = v1.PodCondition{Type: v1.PodReady, Status: v1.ConditionTrue}
	got, err := statusPatch("u1", old, next)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"metadata":{"uid":"u1"},"status":{"$setElementOrder/conditions":[{"type":"Ready"}],"conditions":[{"reason":null,"status":"True","type":"Ready"}],"phase":"Running"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
