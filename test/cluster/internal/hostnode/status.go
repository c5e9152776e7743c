package hostnode

import (
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// phase follows the kubelet's rules: what the states of a pod's containers
// mean for the pod as a whole. final says that the pod is being deleted and
// nothing of it will start again.
func phase(policy v1.RestartPolicy, inits, mains []v1.ContainerStatus, final bool) v1.PodPhase {
	if final {
		policy = v1.RestartPolicyNever
	}
	if p, done := initPhase(policy, inits, final); !done {
		return p
	}
	waiting, running, stopped, succeeded := tally(mains)
	switch {
	case final && running == 0 && succeeded < len(mains):
		return v1.PodFailed
	case waiting > 0:
		return v1.PodPending
	case running > 0 || policy == v1.RestartPolicyAlways:
		return v1.PodRunning
	case stopped == succeeded:
		return v1.PodSucceeded
	case policy == v1.RestartPolicyNever:
		return v1.PodFailed
	default:
		return v1.PodRunning
	}
}

// tally counts containers by state; those that succeeded have stopped too.
func tally(containers []v1.ContainerStatus) (waiting, running, stopped, succeeded int) {
	for _, s := range containers {
		switch {
		case s.State.Running != nil:
			running++
		case s.State.Terminated != nil:
			stopped++
			if s.State.Terminated.ExitCode == 0 {
				succeeded++
			}
		case s.LastTerminationState.Terminated != nil: // waits for its next start
			stopped++
		default:
			waiting++
		}
	}
	return waiting, running, stopped, succeeded
}

// initPhase returns the phase while init containers decide it; done says that
// all of them have succeeded.
func initPhase(policy v1.RestartPolicy, inits []v1.ContainerStatus, final bool) (p v1.PodPhase, done bool) {
	for _, s := range inits {
		t := s.State.Terminated
		switch {
		case t != nil && t.ExitCode == 0:
			continue
		case t != nil && policy == v1.RestartPolicyNever, final && s.State.Running == nil:
			return v1.PodFailed, false
		default:
			return v1.PodPending, false
		}
	}
	return "", true
}

// podStatus returns the part of a pod's status that a kubelet owns. previous
// is what it returned last: times of conditions that did not change are kept.
func podStatus(pod *v1.Pod, inits, mains []v1.ContainerStatus, final bool, previous *v1.PodStatus, now time.Time) *v1.PodStatus {
	at := metav1.NewTime(now)
	s := &v1.PodStatus{
		ObservedGeneration:    pod.Generation,
		Phase:                 phase(pod.Spec.RestartPolicy, inits, mains, final),
		HostIP:                address,
		HostIPs:               []v1.HostIP{{IP: address}},
		PodIP:                 address,
		PodIPs:                []v1.PodIP{{IP: address}},
		StartTime:             &at,
		InitContainerStatuses: inits,
		ContainerStatuses:     mains,
	}
	if previous != nil {
		s.StartTime = previous.StartTime
	}
	reason := ""
	if s.Phase == v1.PodSucceeded {
		reason = "PodCompleted"
	} else if s.Phase == v1.PodFailed {
		reason = "PodFailed"
	}
	_, initialized := initPhase(pod.Spec.RestartPolicy, inits, final)
	ready := s.Phase == v1.PodRunning
	for _, c := range mains {
		ready = ready && c.Ready
	}
	readyReason := reason
	if !ready && reason == "" {
		readyReason = "ContainersNotReady"
	}
	for _, c := range []v1.PodCondition{
		{Type: v1.PodInitialized, Status: condition(initialized), Reason: reason},
		{Type: v1.ContainersReady, Status: condition(ready), Reason: readyReason},
		{Type: v1.PodReady, Status: condition(ready), Reason: readyReason},
	} {
		c.LastTransitionTime = at
		c.ObservedGeneration = pod.Generation
		if old := findCondition(previous, c.Type); old != nil && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		s.Conditions = append(s.Conditions, c)
	}
	return s
}

func condition(b bool) v1.ConditionStatus {
	if b {
		return v1.ConditionTrue
	}
	return v1.ConditionFalse
}

func findCondition(s *v1.PodStatus, t v1.PodConditionType) *v1.PodCondition {
	if s == nil {
		return nil
	}
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}
