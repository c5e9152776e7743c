package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// workload is what of a Deployment or StatefulSet is looked at.
type workload struct {
	Metadata struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Replicas *int32 `json:"replicas"`
	} `json:"spec"`
	Status struct {
		Replicas int32 `json:"replicas"`
	} `json:"status"`
}

// sizes are the replicas of workloads, by kind and name.
type sizes map[string]size

type size struct{ wanted, created *int32 }

func sizeKey(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// overview lists the objects of a namespace and a kind; empty means all. The error
// says that none could be listed.
func (s sources) overview(ctx context.Context, now time.Time, namespace, kind string) (Overview, error) {
	r := &reader{from: s.cluster}
	var objects []v1alpha1.ScaledObject
	var jobs []v1alpha1.ScaledJob
	var seen []outcome
	if kind != v1alpha1.KindScaledJob {
		seen = append(seen, r.many(ctx, "ScaledObjects", kedaResource("scaledobjects"), namespace, nil, listed(&objects)))
	}
	if kind != v1alpha1.KindScaledObject {
		seen = append(seen, r.many(ctx, "ScaledJobs", kedaResource("scaledjobs"), namespace, nil, listed(&jobs)))
	}
	switch slices.Max(seen) {
	case found:
	case missing:
		return Overview{}, errors.New("the API server does not know the kinds of keda.sh; install weir's CRDs")
	case failed:
		return Overview{}, fmt.Errorf("%s: %s", r.unseen[0].What, r.unseen[0].Why)
	}
	out := Overview{At: now, Items: []Row{}}
	replicas := r.sizes(ctx, namespace, objects)
	for i := range objects {
		out.Items = append(out.Items, objectRow(&objects[i], replicas))
	}
	running := r.running(ctx, namespace, jobs)
	for i := range jobs {
		out.Items = append(out.Items, jobRow(&jobs[i], running))
	}
	slices.SortFunc(out.Items, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(b.Kind, a.Kind))
	})
	out.Unseen = append([]Unseen{}, r.unseen...)
	return out, nil
}

// sizes reads the replicas of the workloads of objects: of Deployments and
// StatefulSets from themselves, of others from their HPAs.
func (r *reader) sizes(ctx context.Context, namespace string, objects []v1alpha1.ScaledObject) sizes {
	out := sizes{}
	kinds := map[string]bool{}
	for i := range objects {
		kinds[cmp.Or(objects[i].Spec.ScaleTargetRef.Kind, v1alpha1.DefaultTargetKind)] = true
	}
	if len(kinds) == 0 {
		return out
	}
	var hpas []autoscalingv2.HorizontalPodAutoscaler
	r.many(ctx, "HPAs", hpaResource(), namespace, url.Values{"labelSelector": {v1alpha1.LabelScaledObjectName}}, listed(&hpas))
	for i := range hpas {
		h := &hpas[i]
		out[sizeKey(h.Spec.ScaleTargetRef.Kind, h.Namespace, h.Spec.ScaleTargetRef.Name)] = size{nil, &h.Status.CurrentReplicas}
	}
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		if !kinds[kind] {
			continue
		}
		var all []workload
		r.many(ctx, kind+"s", apiKind{group: "apps", version: "v1", plural: strings.ToLower(kind) + "s"}, namespace, nil, listed(&all))
		for i := range all {
			w := &all[i]
			wanted := w.Spec.Replicas
			if wanted == nil {
				wanted = new(int32(1))
			}
			out[sizeKey(kind, w.Metadata.Namespace, w.Metadata.Name)] = size{wanted, &w.Status.Replicas}
		}
	}
	return out
}

// running counts the Jobs that run, by ScaledJob; nil when they cannot be seen.
func (r *reader) running(ctx context.Context, namespace string, of []v1alpha1.ScaledJob) map[types.NamespacedName]int32 {
	if len(of) == 0 {
		return nil
	}
	var jobs []batchv1.Job
	if r.many(ctx, "Jobs", jobResource(), namespace, url.Values{"labelSelector": {v1alpha1.LabelScaledJobName}}, listed(&jobs)) != found {
		return nil
	}
	out := map[types.NamespacedName]int32{}
	for i := range jobs {
		if finished(&jobs[i]) == "" {
			out[types.NamespacedName{Namespace: jobs[i].Namespace, Name: jobs[i].Labels[v1alpha1.LabelScaledJobName]}]++
		}
	}
	return out
}

func objectRow(so *v1alpha1.ScaledObject, all sizes) Row {
	kind := cmp.Or(so.Spec.ScaleTargetRef.Kind, v1alpha1.DefaultTargetKind)
	s := all[sizeKey(kind, so.Namespace, so.Spec.ScaleTargetRef.Name)]
	row := Row{
		Namespace: so.Namespace, Name: so.Name, Kind: v1alpha1.KindScaledObject, Target: kind + "/" + so.Spec.ScaleTargetRef.Name,
		Min: so.Spec.MinReplicas(), Max: so.Spec.MaxReplicas(), Current: s.created, Desired: s.wanted,
		Fallback: string(v1alpha1.ConditionStatus(so.Status.Conditions, v1alpha1.ConditionFallback)),
	}
	row.fill(so.Status.Conditions, so.Spec.Triggers, so.PauseRequested())
	return row
}

func jobRow(sj *v1alpha1.ScaledJob, running map[types.NamespacedName]int32) Row {
	row := Row{
		Namespace: sj.Namespace, Name: sj.Name, Kind: v1alpha1.KindScaledJob,
		Min: sj.Spec.MinReplicas(), Max: sj.Spec.MaxReplicas(),
	}
	if running != nil {
		row.Current = new(running[types.NamespacedName{Namespace: sj.Namespace, Name: sj.Name}])
	}
	row.fill(sj.Status.Conditions, sj.Spec.Triggers, sj.PauseRequested())
	return row
}

// fill adds what both kinds have.
func (row *Row) fill(conditions []v1alpha1.Condition, specs []v1alpha1.Trigger, paused bool) {
	status := func(t v1alpha1.ConditionType) string { return string(v1alpha1.ConditionStatus(conditions, t)) }
	row.Ready, row.Active, row.Paused = status(v1alpha1.ConditionReady), status(v1alpha1.ConditionActive), status(v1alpha1.ConditionPaused)
	for _, t := range specs {
		if !slices.Contains(strings.Split(row.Triggers, ","), t.Type) {
			row.Triggers = strings.TrimPrefix(row.Triggers+","+t.Type, ",")
		}
	}
	tells := v1alpha1.ConditionActive
	switch {
	case row.Ready != string(metav1.ConditionTrue):
		tells = v1alpha1.ConditionReady
	case paused || row.Paused == string(metav1.ConditionTrue):
		tells = v1alpha1.ConditionPaused
	case row.Fallback == string(metav1.ConditionTrue):
		tells = v1alpha1.ConditionFallback
	case status(v1alpha1.ConditionHPAActive) == string(metav1.ConditionFalse):
		tells = v1alpha1.ConditionHPAActive
	}
	if c := v1alpha1.FindCondition(conditions, tells); c != nil {
		row.Reason, row.Message = c.Reason, c.Message
	}
}

// attention reports whether a person should look at an object of the list.
func (o *Overview) attention() bool {
	return slices.ContainsFunc(o.Items, func(r Row) bool { return r.Ready != string(metav1.ConditionTrue) })
}

// Text renders the list as a table: with the namespaces of the objects, and wide
// with everything there is.
func (o *Overview) Text(namespaces, wide bool) string {
	var b strings.Builder
	if len(o.Items) == 0 {
		b.WriteString("no ScaledObjects or ScaledJobs\n")
	} else {
		head := []string{"NAME", "KIND", "TARGET", "MIN", "MAX", "CURRENT", "DESIRED", "READY", "ACTIVE", "REASON"}
		if wide {
			head = append(head, "PAUSED", "FALLBACK", "TRIGGERS", "MESSAGE")
		}
		rows := [][]string{head}
		for i := range o.Items {
			rows = append(rows, o.Items[i].cells(wide))
		}
		if namespaces {
			for i := range rows {
				rows[i] = append([]string{"NAMESPACE"}, rows[i]...)
				if i > 0 {
					rows[i][0] = o.Items[i-1].Namespace
				}
			}
		}
		b.WriteString(columns("", rows))
	}
	section(&b, "Not seen", unseenLines(o.Unseen))
	return b.String()
}

func (row *Row) cells(wide bool) []string {
	short := map[string]string{v1alpha1.KindScaledObject: "so", v1alpha1.KindScaledJob: "sj"}
	out := []string{
		row.Name, short[row.Kind], cmp.Or(row.Target, noValue), strconv.Itoa(int(row.Min)), strconv.Itoa(int(row.Max)),
		known(row.Current), known(row.Desired), row.Ready, row.Active, cmp.Or(row.Reason, noValue),
	}
	if wide {
		out = append(out, row.Paused, cmp.Or(row.Fallback, noValue), cmp.Or(row.Triggers, noValue), cmp.Or(row.Message, noValue))
	}
	return out
}

func known(n *int32) string {
	if n == nil {
		return noValue
	}
	return strconv.Itoa(int(*n))
}
