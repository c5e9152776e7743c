package scaledjob

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// indexOwner is the index of the cache by which Jobs are found by the UID of the
// object that controls them. Labels do not count: users may change them.
const indexOwner = "weir.owner"

// ownerKeys are the index keys of a Job.
func ownerKeys(o client.Object) []string {
	if c := metav1.GetControllerOf(o); c != nil && c.Kind == v1alpha1.KindScaledJob {
		return []string{string(c.UID)}
	}
	return nil
}

// census is what is known of the Jobs of an object at a moment.
type census struct {
	unfinished int
	unseen     []string // those of them that are not in the cache, by name
	cached     []batchv1.Job
}

// count reads the Jobs of an object from the cache and from its ledger. The Jobs
// are the cache's own.
func (r *Reconciler) count(ctx context.Context, sj *v1alpha1.ScaledJob, st *object) (census, error) {
	var list batchv1.JobList
	err := r.Client.List(ctx, &list, client.InNamespace(sj.Namespace), client.MatchingFields{indexOwner: string(sj.UID)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return census{}, fmt.Errorf("reading the Jobs: %w", err)
	}
	out := census{cached: list.Items}
	out.unfinished, out.unseen = st.ledger.count(byName(list.Items), r.Now())
	return out, nil
}

// byName says of each Job whether it has ended.
func byName(list []batchv1.Job) map[string]bool {
	out := make(map[string]bool, len(list))
	for i := range list {
		_, _, ended := endOf(&list[i])
		out[list[i].Name] = ended
	}
	return out
}

// endOf tells when a Job ended, and how.
func endOf(j *batchv1.Job) (at time.Time, failed, ended bool) {
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue || c.Type != batchv1.JobComplete && c.Type != batchv1.JobFailed {
			continue
		}
		at = c.LastTransitionTime.Time
		if c.Type == batchv1.JobComplete && j.Status.CompletionTime != nil {
			at = j.Status.CompletionTime.Time
		}
		return at, c.Type == batchv1.JobFailed, true
	}
	return time.Time{}, false, false
}

// live reads the Jobs of an object from the API server and tells the ledger.
func (r *Reconciler) live(ctx context.Context, sj *v1alpha1.ScaledJob, st *object, known []batchv1.Job) ([]batchv1.Job, error) {
	asked := r.Now()
	var list batchv1.JobList
	err := r.Live.List(ctx, &list, client.InNamespace(sj.Namespace), client.MatchingLabels{v1alpha1.LabelScaledJobName: sj.Name})
	if err != nil {
		return nil, fmt.Errorf("listing the Jobs: %w", err)
	}
	list.Items = slices.DeleteFunc(list.Items, func(j batchv1.Job) bool { return !metav1.IsControlledBy(&j, sj) })
	st.ledger.confirm(byName(list.Items), byName(known), asked)
	if !st.listed {
		// What the process before created counts as a round.
		for i := range list.Items {
			at := list.Items[i].CreationTimestamp.Time
			if at.After(asked) {
				at = asked // by another clock
			}
			if at.After(st.lastRound) {
				st.lastRound = at
			}
		}
	}
	st.listed = true
	return list.Items, nil
}

// pending counts the Jobs that have not begun: those of which no pod runs or, with
// spec.scalingStrategy.pendingPodConditions, of which no pod has all of these.
func (r *Reconciler) pending(ctx context.Context, sj *v1alpha1.ScaledJob, c census, conditions []string) (int, error) {
	var pods corev1.PodList
	err := r.Client.List(ctx, &pods, client.InNamespace(sj.Namespace), client.MatchingLabels{v1alpha1.LabelScaledJobName: sj.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return 0, fmt.Errorf("reading the pods of the Jobs: %w", err)
	}
	begun := map[string]bool{}
	for i := range pods.Items {
		if hasBegun(&pods.Items[i], conditions) {
			begun[pods.Items[i].Labels[batchv1.JobNameLabel]] = true
			begun[pods.Items[i].Labels["job-name"]] = true
		}
	}
	n := len(c.unseen)
	for name, ended := range byName(c.cached) {
		if !ended && !begun[name] {
			n++
		}
	}
	return n, nil
}

// hasBegun reports whether a pod makes its Job one that is not pending.
func hasBegun(p *corev1.Pod, conditions []string) bool {
	if len(conditions) == 0 {
		return p.Status.Phase == corev1.PodRunning || p.Status.Phase == corev1.PodSucceeded
	}
	return !slices.ContainsFunc(conditions, func(want string) bool {
		return !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return string(c.Type) == want && c.Status == corev1.ConditionTrue
		})
	})
}
