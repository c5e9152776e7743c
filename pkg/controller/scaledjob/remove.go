package scaledjob

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
)

// removeAtOnce is how many finished Jobs one pass deletes, at most.
const removeAtOnce = 50

// tidy deletes the finished Jobs beyond the history limits, oldest first.
func (r *Reconciler) tidy(ctx context.Context, sj *v1alpha1.ScaledJob, st *object, p *plan, list []batchv1.Job) error {
	remaining := map[types.UID]bool{}
	var old []*batchv1.Job
	for _, failed := range []bool{false, true} {
		keep := p.spec.SuccessfulHistoryLimit()
		if failed {
			keep = p.spec.FailedHistoryLimit()
		}
		ended := endedJobs(list, failed)
		old = append(old, ended[:max(len(ended)-int(keep), 0)]...)
	}
	for i := range list {
		if st.deleted[list[i].UID] {
			remaining[list[i].UID] = true
		}
	}
	st.deleted = remaining
	old = slices.DeleteFunc(old, func(j *batchv1.Job) bool { return remaining[j.UID] || !j.DeletionTimestamp.IsZero() })
	if len(old) > removeAtOnce {
		old = old[:removeAtOnce]
		r.queue.Add(client.ObjectKeyFromObject(sj))
	}
	for _, j := range old {
		if err := r.remove(ctx, j, metav1.DeletePropagationBackground); err != nil {
			return err
		}
		st.deleted[j.UID] = true
	}
	return nil
}

// endedJobs returns the Jobs that failed, or those that did not, by the time of
// their end.
func endedJobs(list []batchv1.Job, failed bool) []*batchv1.Job {
	type end struct {
		at  time.Time
		job *batchv1.Job
	}
	var ends []end
	for i := range list {
		if at, f, ended := endOf(&list[i]); ended && f == failed {
			ends = append(ends, end{at, &list[i]})
		}
	}
	slices.SortFunc(ends, func(a, b end) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.job.Name, b.job.Name)) })
	out := make([]*batchv1.Job, len(ends))
	for i, e := range ends {
		out[i] = e.job
	}
	return out
}

// remove deletes a Job unless it is gone, or is another of the same name.
func (r *Reconciler) remove(ctx context.Context, j *batchv1.Job, how metav1.DeletionPropagation) error {
	gone := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: j.Namespace, Name: j.Name}}
	err := r.Client.Delete(ctx, gone, client.PropagationPolicy(how), client.Preconditions{UID: new(j.UID)})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("deleting Job %q: %w", j.Name, err)
}

// rollOut deletes the Jobs of earlier specs, unless the strategy lets them run to
// their end. Only a new spec does that: neither a restart nor a change of labels or
// annotations.
func (r *Reconciler) rollOut(ctx context.Context, sj *v1alpha1.ScaledJob, st *object) error {
	if st.rolled == sj.Generation {
		return nil
	}
	if sj.Spec.EffectiveRolloutStrategy() == v1alpha1.RolloutGradual {
		st.rolled = sj.Generation
		return nil
	}
	known, err := r.count(ctx, sj, st)
	if err != nil {
		return err
	}
	list, err := r.live(ctx, sj, st, known.cached)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(j batchv1.Job) bool {
		return j.Annotations[v1alpha1.AnnotationScaledJobGeneration] == generation(sj.Generation) || !j.DeletionTimestamp.IsZero()
	})
	if len(list) > 0 {
		if err := r.replaced(ctx, sj, st, list); err != nil {
			return err
		}
	}
	st.rolled = sj.Generation
	return nil
}

// replaced deletes Jobs of earlier specs and tells of it.
func (r *Reconciler) replaced(ctx context.Context, sj *v1alpha1.ScaledJob, st *object, list []batchv1.Job) error {
	how := sj.Spec.Rollout.Propagation()
	what := fmt.Sprintf("%s of earlier generations than %d", many(len(list)), sj.Generation)
	first := st.rolling != sj.Generation
	st.rolling = sj.Generation
	if first {
		r.tell.Normal(sj, v1alpha1.EventScaledJobRolloutCleanupStarted, "rollout",
			fmt.Sprintf("deleting %s, with propagation policy %s", what, how))
	}
	for i := range list {
		if err := r.remove(ctx, &list[i], how); err != nil {
			if first {
				r.tell.Warning(sj, v1alpha1.EventScaledJobRolloutCleanupFailed, "rollout", err.Error())
			}
			return err
		}
	}
	r.Log.Info("deleted Jobs of earlier generations", scaled.Named(sj), slog.Int("jobs", len(list)))
	r.tell.Normal(sj, v1alpha1.EventScaledJobRolloutCleanupCompleted, "rollout", "deleted "+what)
	return nil
}
