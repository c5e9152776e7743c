package explain

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// facts are what was found about one object. The pointers are nil, and the lists
// unknown, when there is nothing or it could not be read: unseen tells which.
type facts struct {
	now  time.Time
	kind string
	so   *v1alpha1.ScaledObject // of a ScaledObject
	job  *v1alpha1.ScaledJob    // of a ScaledJob

	hpa       *autoscalingv2.HorizontalPodAutoscaler
	hpaSeen   outcome
	scale     *autoscalingv1.Scale
	scaleSeen outcome
	pods      []corev1.Pod
	podsSeen  outcome
	jobs      []batchv1.Job
	jobsSeen  outcome
	events    []corev1.Event
	served    map[string]float64 // by metric name, from the external metrics API
	weir      *snapshot.Object   // what weir itself knows
	unseen    []Unseen
}

// subject is what is asked for.
type subject struct {
	kind            string // empty: whichever there is, a ScaledObject first
	namespace, name string
}

// The kinds of objects that are read.
func kedaResource(plural string) apiKind {
	return apiKind{group: v1alpha1.Group, version: v1alpha1.Version, plural: plural}
}

func hpaResource() apiKind {
	return apiKind{group: "autoscaling", version: "v2", plural: "horizontalpodautoscalers"}
}

func podResource() apiKind { return apiKind{version: "v1", plural: "pods"} }
func jobResource() apiKind { return apiKind{group: "batch", version: "v1", plural: "jobs"} }

// NotFoundError says that there is no object of the name.
type NotFoundError struct {
	Kind, Namespace, Name string
	Elsewhere             []string // namespaces that have such an object, sorted; empty also when they may not be listed
}

// Error implements error.
func (e *NotFoundError) Error() string {
	kind := cmp.Or(e.Kind, v1alpha1.KindScaledObject+" or "+v1alpha1.KindScaledJob)
	switch len(e.Elsewhere) {
	case 0:
	case 1:
		return fmt.Sprintf("no %s %q in namespace %q; there is one in namespace %q: give -n %[4]s", kind, e.Name, e.Namespace, e.Elsewhere[0])
	default:
		return fmt.Sprintf("no %s %q in namespace %q; there are in %d others, such as %q: give -n %[5]s", kind, e.Name, e.Namespace, len(e.Elsewhere), e.Elsewhere[0])
	}
	return fmt.Sprintf("no %s %q in namespace %q; list what there is with: weir status -n %s, or weir status -A", kind, e.Name, e.Namespace, e.Namespace)
}

// gather reads all there is to know of an object. The error says that the object
// itself cannot be read; anything else that cannot is among what is unseen.
func (s sources) gather(ctx context.Context, now time.Time, of subject) (*facts, error) {
	r := &reader{from: s.cluster}
	f := &facts{now: now}
	if err := f.object(ctx, r, of); err != nil {
		return nil, err
	}
	f.weir = s.snapshot(ctx, r, f.kind, of)
	if f.so != nil {
		f.scaledObject(ctx, r)
	} else {
		f.scaledJob(ctx, r)
	}
	f.readEvents(ctx, r)
	f.unseen = r.unseen
	return f, nil
}

// object reads the object itself.
func (f *facts) object(ctx context.Context, r *reader, of subject) error {
	so, job := new(v1alpha1.ScaledObject), new(v1alpha1.ScaledJob)
	for _, try := range []struct {
		kind, plural string
		into         any
	}{{v1alpha1.KindScaledObject, "scaledobjects", so}, {v1alpha1.KindScaledJob, "scaledjobs", job}} {
		if of.kind != "" && of.kind != try.kind {
			continue
		}
		switch r.one(ctx, fmt.Sprintf("%s %q in namespace %q", try.kind, of.name, of.namespace), kedaResource(try.plural), of.namespace, of.name, try.into) {
		case found:
			f.kind = try.kind
			if try.into == any(so) {
				f.so = so
			} else {
				f.job = job
			}
			return nil
		case failed:
			u := r.unseen[len(r.unseen)-1]
			return fmt.Errorf("%s: %s", u.What, u.Why)
		case missing:
		}
	}
	return &NotFoundError{of.kind, of.namespace, of.name, elsewhere(ctx, r.from, of)}
}

// elsewhere are the namespaces that have an object of the name: a namespace is
// easily forgotten. Whoever may not list them is told nothing.
func elsewhere(ctx context.Context, from getter, of subject) []string {
	r := &reader{from: from}
	var all []metav1.PartialObjectMetadata
	for kind, plural := range map[string]string{v1alpha1.KindScaledObject: "scaledobjects", v1alpha1.KindScaledJob: "scaledjobs"} {
		if of.kind == "" || of.kind == kind {
			r.many(ctx, plural, kedaResource(plural), "", url.Values{"fieldSelector": {"metadata.name=" + of.name}}, listed(&all))
		}
	}
	var out []string
	for i := range all {
		if all[i].Name == of.name {
			out = append(out, all[i].Namespace)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// scaledObject reads what belongs to a ScaledObject.
func (f *facts) scaledObject(ctx context.Context, r *reader) {
	so := f.so
	h := new(autoscalingv2.HorizontalPodAutoscaler)
	if f.hpaSeen = r.one(ctx, "HPA", hpaResource(), so.Namespace, cmp.Or(so.Status.HPAName, so.HPAName()), h); f.hpaSeen == found {
		f.hpa = h
	}
	if target, ok := f.target(ctx, r); ok {
		scale := new(autoscalingv1.Scale)
		if f.scaleSeen = r.one(ctx, "target", target, so.Namespace, so.Spec.ScaleTargetRef.Name, scale); f.scaleSeen == found {
			f.scale = scale
		}
	}
	if f.scale != nil && f.scale.Status.Selector != "" {
		f.podsSeen = r.many(ctx, "pods", podResource(), so.Namespace, selecting(f.scale.Status.Selector), listed(&f.pods))
	}
	if f.weir == nil && f.hpa != nil {
		f.readMetrics(ctx, r)
	}
}

func selecting(selector string) url.Values { return url.Values{"labelSelector": {selector}} }

// target is the resource of the workload with its scale. Kinds other than those of
// Kubernetes are looked up unless the status tells.
func (f *facts) target(ctx context.Context, r *reader) (apiKind, bool) {
	out := apiKind{sub: "scale"}
	if g := f.so.Status.ScaleTargetGVKR; g != nil && g.Kind == cmp.Or(f.so.Spec.ScaleTargetRef.Kind, v1alpha1.DefaultTargetKind) {
		out.group, out.version, out.plural = g.Group, g.Version, g.Resource
		return out, true
	}
	gvk, err := f.so.Spec.ScaleTargetRef.GroupVersionKind()
	if err != nil {
		return out, false // Ready says so
	}
	out.group, out.version = gvk.Group, gvk.Version
	if gvk.Group == "apps" {
		out.plural = strings.ToLower(gvk.Kind) + "s"
		return out, true
	}
	var kinds metav1.APIResourceList
	f.scaleSeen = r.one(ctx, "target", apiKind{group: gvk.Group, version: gvk.Version}, "", "", &kinds)
	for _, k := range kinds.APIResources {
		if k.Kind == gvk.Kind && !strings.Contains(k.Name, "/") {
			out.plural = k.Name
			return out, true
		}
	}
	if f.scaleSeen == found {
		f.scaleSeen = missing
	}
	return out, false
}

// readMetrics asks for the values as the HPA does, when weir cannot be asked itself.
func (f *facts) readMetrics(ctx context.Context, r *reader) {
	f.served = map[string]float64{}
	for _, m := range f.hpa.Spec.Metrics {
		if m.External == nil {
			continue
		}
		name := m.External.Metric.Name
		var values []struct {
			Value quantity `json:"value"`
		}
		from := apiKind{group: "external.metrics.k8s.io", version: "v1beta1", plural: name}
		selector := metav1.FormatLabelSelector(m.External.Metric.Selector)
		switch r.many(ctx, "value of "+name, from, f.so.Namespace, selecting(selector), listed(&values)) {
		case found:
			for _, v := range values {
				f.served[name] += v.Value.value()
			}
		case missing:
			r.miss("value of "+name, "weir serves no such metric now")
		case failed:
		}
	}
}

// scaledJob reads what belongs to a ScaledJob.
func (f *facts) scaledJob(ctx context.Context, r *reader) {
	selector := selecting(v1alpha1.LabelScaledJobName + "=" + f.job.Name)
	f.jobsSeen = r.many(ctx, "Jobs", jobResource(), f.job.Namespace, selector, listed(&f.jobs))
	f.podsSeen = r.many(ctx, "pods", podResource(), f.job.Namespace, selector, listed(&f.pods))
	f.pods = slices.DeleteFunc(f.pods, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
}

// readEvents reads the events about the object and its HPA.
func (f *facts) readEvents(ctx context.Context, r *reader) {
	about := map[string]string{f.kind: f.meta().Name}
	if f.hpa != nil {
		about["HorizontalPodAutoscaler"] = f.hpa.Name
	}
	for _, kind := range slices.Sorted(maps.Keys(about)) {
		query := url.Values{"fieldSelector": {"involvedObject.kind=" + kind + ",involvedObject.name=" + about[kind]}}
		if r.many(ctx, "events", apiKind{version: "v1", plural: "events"}, f.meta().Namespace, query, listed(&f.events)) == failed {
			return
		}
	}
}

// meta is the metadata of the object.
func (f *facts) meta() *metav1.ObjectMeta {
	if f.so != nil {
		return &f.so.ObjectMeta
	}
	return &f.job.ObjectMeta
}

// conditions are those of the object.
func (f *facts) conditions() []v1alpha1.Condition {
	if f.so != nil {
		return f.so.Status.Conditions
	}
	return f.job.Status.Conditions
}

// sources are where facts come from.
type sources struct {
	cluster getter
	weir    getter // of paths below weirRoute
	// way describes how weir is reached and what to do when it is not.
	way weirWay
}

// weirWay is how weir is reached.
type weirWay struct {
	direct             bool
	namespace, service string
}

// proxied is the Service as the API server and its rules name it: by the scheme and
// by the name of the port.
func (w weirWay) proxied() string { return "http:" + w.service + ":metrics" }

// weirRoute begins weir's own routes.
const weirRoute = "/debug/weir/objects"

// weirView is how weir's own knowledge is called among what is unseen.
const weirView = "weir's own view (decisions, ages, errors)"

// proxied reads from weir through the API server.
type proxied struct {
	through getter
	prefix  string
}

func (p proxied) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return p.through.get(ctx, p.prefix+path, query)
}

// snapshot asks weir what it knows of the object; nil when it does not say.
func (s sources) snapshot(ctx context.Context, r *reader, kind string, of subject) *snapshot.Object {
	path := weirRoute + "/" + url.PathEscape(of.namespace) + "/" + url.PathEscape(of.name)
	body, err := s.weir.get(ctx, path, url.Values{"kind": {kind}})
	out := new(snapshot.Object)
	if err == nil {
		err = decode(body, out)
	}
	if err != nil {
		r.miss(weirView, s.way.why(err))
		return nil
	}
	return out
}

// why says why weir did not answer, and what to do. The API server answers alike
// for a Service that does not exist and for one that leads to no ready pod.
func (w weirWay) why(err error) string {
	forward := fmt.Sprintf("or run kubectl -n %s port-forward service/%s 8080 and give --server=http://localhost:8080", w.namespace, w.service)
	switch {
	case apierrors.IsNotFound(err):
		return "it does not know the object: only the leader does, once it has looked at it"
	case w.direct:
		return "cannot be read: " + err.Error() + "; correct --server"
	case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
		return fmt.Sprintf("not allowed (needs get services/proxy of %q in namespace %s, as Role weir-explain allows); ask for it, %s",
			w.proxied(), w.namespace, forward)
	case apierrors.IsServiceUnavailable(err):
		return fmt.Sprintf("Service %q in namespace %q does not exist, or leads to no replica: see kubectl -n %s get services,pods; "+
			"--weir-namespace and --weir-service name another", w.service, w.namespace, w.namespace)
	}
	return "cannot be read: " + err.Error() + "; " + forward
}
