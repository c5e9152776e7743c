package scaledjob

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
)

// atOnce is how many Jobs are asked for at a time, at most.
const atOnce = 16

// create creates Jobs and returns how many there are of them. It asks for one
// first and then for twice as many each time, so that an API server that refuses
// is asked little; after a failure it asks no more. The error is that of one Job.
func (r *Reconciler) create(ctx context.Context, sj *v1alpha1.ScaledJob, st *object, p *plan, wanted int) (made int, err error) {
	for batch := 1; made < wanted && err == nil; batch = min(2*batch, atOnce) {
		var wg sync.WaitGroup
		errs := make([]error, min(batch, wanted-made))
		for i := range errs {
			wg.Go(func() { errs[i] = r.createOne(ctx, sj, st, p) })
		}
		wg.Wait()
		for _, e := range errs {
			if e == nil {
				made++
			} else {
				err = e
			}
		}
	}
	return made, err
}

// createOne creates a Job. A name that is taken is tried again with another.
func (r *Reconciler) createOne(ctx context.Context, sj *v1alpha1.ScaledJob, st *object, p *plan) error {
	const tries = 3
	var err error
	for range tries {
		job := newJob(sj, p, r.Version)
		st.ledger.expect(job.Name, r.Now())
		if err = r.Client.Create(ctx, job, client.FieldOwner(kube.FieldManager)); err == nil {
			return nil
		}
		if refused(err) {
			st.ledger.refuse(job.Name)
		}
		// The name differs each time, and is in the text.
		err = &createError{strings.ReplaceAll(err.Error(), job.Name, job.GenerateName+"*"), err}
		if !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return err
}

// createError is a failure with the same text for every Job.
type createError struct {
	text string
	err  error
}

// Error implements error.
func (e *createError) Error() string { return "creating a Job: " + e.text }

// Unwrap returns the API server's error.
func (e *createError) Unwrap() error { return e.err }

// refused reports whether err says for sure that nothing was created: the API
// server answered, and did not give up halfway.
func refused(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		return false
	}
	code := status.ErrStatus.Code
	return code >= http.StatusBadRequest && code < http.StatusInternalServerError && code != http.StatusRequestTimeout
}

// newJob is a Job of the plan, of a name that no Job has had.
func newJob(sj *v1alpha1.ScaledJob, p *plan, version string) *batchv1.Job {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: sj.Name + "-", Name: jobName(sj.Name), Namespace: sj.Namespace,
			Labels: jobLabels(sj, version), Annotations: jobAnnotations(sj, p),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(sj, v1alpha1.GroupVersion.WithKind(v1alpha1.KindScaledJob))},
		},
		Spec: *p.spec.JobTargetRef.DeepCopy(),
	}
	pod := &job.Spec.Template
	pod.GenerateName = job.GenerateName
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[v1alpha1.LabelScaledJobName] = sj.Name
	if pod.Spec.RestartPolicy == "" {
		pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	}
	return job
}

// jobName makes a name as the API server does of generateName. It is made here so
// that the Job is known by it even when the answer to its creation is lost.
func jobName(of string) string {
	const random, longest = 5, 63
	base := of + "-"
	if len(base) > longest-random {
		base = base[:longest-random]
	}
	return base + rand.String(random)
}

// jobLabels are the labels of the ScaledJob, less those it excludes, and those by
// which Jobs are found, which nobody overrides.
func jobLabels(sj *v1alpha1.ScaledJob, version string) map[string]string {
	excluded := sj.JobExcludedLabels()
	labels := maps.Clone(sj.Labels)
	maps.DeleteFunc(labels, func(k, _ string) bool { return slices.Contains(excluded, k) })
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, map[string]string{
		v1alpha1.LabelName: sj.Name, v1alpha1.LabelPartOf: sj.Name, v1alpha1.LabelVersion: version,
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelScaledJobName: sj.Name,
	})
	return labels
}

// jobAnnotations are those of the ScaledJob and the generation of the plan.
func jobAnnotations(sj *v1alpha1.ScaledJob, p *plan) map[string]string {
	annotations := maps.Clone(sj.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	annotations[v1alpha1.AnnotationScaledJobGeneration] = generation(p.generation)
	return annotations
}

func generation(n int64) string { return strconv.FormatInt(n, 10) }

// failedToCreate is what is told of a creation that did not create all.
func failedToCreate(made, wanted int, err error) string {
	return fmt.Sprintf("created %d of %s: %v", made, many(wanted), err)
}

// many is "1 Job", "2 Jobs".
func many(n int) string {
	if n == 1 {
		return "1 Job"
	}
	return fmt.Sprintf("%d Jobs", n)
}
