package scaledjob

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/triggers"
)

// plan makes the object's newest spec the one in force: Jobs of earlier specs are
// rolled out and the engine is told. A ProblemError leaves the last good plan in
// force, with its Jobs.
func (r *Reconciler) plan(ctx context.Context, sj *v1alpha1.ScaledJob, st *object) error {
	st.StaleAt = time.Time{}
	if err := r.claim(ctx, sj); err != nil {
		return err
	}
	if st.Paused = sj.PauseRequested(); st.Paused {
		// An object that is paused need not be right in any other respect.
		r.stop(sj, st)
		return nil
	}
	wrong, warnings := triggers.CheckScaledJob(sj)
	found, err := r.resolver.Resolve(ctx, scaled.Job.Owner(client.ObjectKeyFromObject(sj)), workload(sj), sj.Spec.Triggers, false)
	if err != nil {
		return err
	}
	st.StaleAt = found.StaleAt
	if err := scaled.Problems(append(wrong, found.Problems...)); err != nil {
		return err
	}
	if err := r.rollOut(ctx, sj, st); err != nil {
		return err
	}
	r.enforce(sj, st, found.Triggers)
	r.tell.Warnings(sj, &st.Memory, append(warnings, found.Warnings...))
	return nil
}

// workload is where the triggers' environment comes from.
func workload(sj *v1alpha1.ScaledJob) kube.Workload {
	w := kube.Workload{Namespace: sj.Namespace, Name: sj.Name, Container: sj.Spec.EnvSourceContainerName}
	if sj.Spec.JobTargetRef != nil {
		w.Pod = &sj.Spec.JobTargetRef.Template.Spec
	}
	return w
}

// enforce puts the newest spec in force. Cpu and memory have no part in it: only
// an HPA can measure them.
func (r *Reconciler) enforce(sj *v1alpha1.ScaledJob, st *object, list []triggers.Trigger) {
	next := &plan{
		spec: sj.Spec.DeepCopy(), generation: sj.Generation, interval: sj.Spec.PollingIntervalDuration(),
		triggers: slices.DeleteFunc(list, func(t triggers.Trigger) bool { return t.Resource != nil }),
	}
	before := st.current.Swap(next)
	st.forgetFailures(next)
	if before == nil {
		st.Watching = true // until there is work
	}
	r.Engine.Set(scaled.Job.Owner(client.ObjectKeyFromObject(sj)), next.uses(st.Watching))
	names := make([]string, len(next.triggers))
	for i, t := range next.triggers {
		names[i] = t.MetricName
	}
	if before == nil && len(st.written.ExternalMetricNames) == 0 {
		// Not after a restart: nothing has changed for the user then.
		r.tell.Normal(sj, v1alpha1.EventScalersStarted, "measuring",
			fmt.Sprintf("measuring %s every %s", strings.Join(names, ", "), next.interval))
	}
}

// claim adds the finalizer.
func (r *Reconciler) claim(ctx context.Context, sj *v1alpha1.ScaledJob) error {
	before := sj.DeepCopy()
	if !controllerutil.AddFinalizer(sj, v1alpha1.Finalizer) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, sj, patch, client.FieldOwner(kube.FieldManager)); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	return nil
}

// stop ends measuring. Jobs that run are left alone.
func (r *Reconciler) stop(sj *v1alpha1.ScaledJob, st *object) {
	owner := scaled.Job.Owner(client.ObjectKeyFromObject(sj))
	r.Engine.Remove(owner)
	r.resolver.Forget(owner)
	r.tell.Stopped(sj, &st.Memory, st.current.Swap(nil) != nil)
	st.refused, st.createAt = "", time.Time{}
}
