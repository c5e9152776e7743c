package hpacheck

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	corelisters "k8s.io/client-go/listers/core/v1"
	scalefake "k8s.io/client-go/scale/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	defaults "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	metricsclient "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

const (
	namespace = "check"
	name      = "target"
	selector  = "app=target"
)

// world is what the controller sees of one case: it plays the record, one sync
// after the other, and writes what the controller did into it.
type world struct {
	t        *testing.T
	record   *record
	start    time.Time
	replicas int32 // spec.replicas of the target
	status   int32
	pods     cache.Indexer
	client   *fake.Clientset
	seen     int // syncs begun
	// next makes the inputs of the next sync when a case is generated; nil when it
	// is played.
	next     func(replicas int32, at int) sync
	changed  *spec // since the last sync, while a case is generated
	observed int   // syncs taken down
	last     want  // all conditions as they are
}

// run runs the controller on the record, from its first sync to its last. Without
// next the record's syncs are played; with it they are made, n of them, by next,
// and edit may change the spec between them.
func run(t *testing.T, r *record, n int, next func(replicas int32, at int) sync, edit func() *spec) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, record: r, next: next, pods: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})}
		w.replicas = *r.Syncs[0].Set
		w.client = fake.NewClientset(w.hpa(r.Syncs[0].Spec))
		w.client.PrependReactor("create", "events", func(a clienttesting.Action) (bool, runtime.Object, error) {
			return true, a.(clienttesting.CreateAction).GetObject(), nil // not kept, which takes long
		})
		ctx, stop := context.WithCancel(t.Context())
		done := w.control(ctx)
		for synctest.Wait(); w.seen == 0; synctest.Wait() {
			time.Sleep(time.Second / 10) // the controller waits for its caches first
		}
		// Syncs are on the second, changes of the spec between.
		time.Sleep(time.Until(w.start.Add(time.Second / 2)))
		for {
			synctest.Wait()
			w.observe()
			if w.seen >= n {
				break
			}
			if s := w.change(edit); s != nil {
				w.apply(s)
				synctest.Wait()
				w.observe()
			}
			time.Sleep(time.Second)
		}
		stop()
		<-done
	})
}

// change returns the spec to set now; nil for none. When a case is played, a sync
// at half a second was caused by one.
func (w *world) change(edit func() *spec) *spec {
	if edit != nil {
		return edit()
	}
	if s := w.record.Syncs[w.seen]; s.At == time.Since(w.start).Seconds() {
		return s.Spec
	}
	return nil
}

// control starts the controller.
func (w *world) control(ctx context.Context) <-chan struct{} {
	f := w.record.Flags
	scales := &scalefake.FakeScaleClient{}
	scales.AddReactor("get", "*", w.getScale)
	scales.AddReactor("update", "*", w.updateScale)
	mapper := apimeta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "apps", Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, apimeta.RESTScopeNamespace)
	factory := informers.NewSharedInformerFactory(w.client, 12*time.Hour)
	controller := podautoscaler.NewHorizontalController(ctx, w.client.CoreV1(), scales, w.client.AutoscalingV2(), mapper, w,
		factory.Autoscaling().V2().HorizontalPodAutoscalers(), podsOf{factory.Core().V1().Pods(), w.pods},
		seconds(w.record.Period), seconds(f.Downscale), f.Tolerance, seconds(f.CPUInit), seconds(f.Delay))
	factory.StartWithContext(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		controller.Run(ctx, 1)
		factory.Shutdown()
	}()
	return done
}

// podsOf is an informer of pods that are there as soon as they are set.
type podsOf struct {
	coreinformers.PodInformer
	pods cache.Indexer
}

func (p podsOf) Lister() corelisters.PodLister { return corelisters.NewPodLister(p.pods) }

// getScale begins a sync.
func (w *world) getScale(clienttesting.Action) (bool, runtime.Object, error) {
	if w.seen == 0 {
		w.start = time.Now()
	}
	at := time.Since(w.start).Seconds()
	if w.next != nil {
		s := w.next(w.replicas, int(at))
		s.At, s.Spec, w.changed = at, w.changed, nil
		if w.seen == 0 { // made beforehand, for the HPA's sake
			s.Spec, s.Set = w.record.Syncs[0].Spec, w.record.Syncs[0].Set
			w.record.Syncs = nil
		}
		w.record.Syncs = append(w.record.Syncs, s)
	}
	if w.seen >= len(w.record.Syncs) {
		return true, nil, errors.New("the record has ended")
	}
	s := &w.record.Syncs[w.seen]
	w.seen++
	if s.At != at {
		w.t.Errorf("sync %d is at %v, want %v", w.seen-1, at, s.At)
	}
	if s.Set != nil {
		w.replicas = *s.Set
	}
	if s.Status != nil {
		w.status = *s.Status
	}
	w.movePods(s)
	return true, &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       autoscalingv1.ScaleSpec{Replicas: w.replicas},
		Status:     autoscalingv1.ScaleStatus{Replicas: w.status, Selector: selector},
	}, nil
}

func (w *world) updateScale(a clienttesting.Action) (bool, runtime.Object, error) {
	scale := a.(clienttesting.UpdateAction).GetObject().(*autoscalingv1.Scale)
	w.replicas = scale.Spec.Replicas
	return true, scale, nil
}

// apply sets a spec, as the API server would.
func (w *world) apply(s *spec) {
	hpas := w.client.AutoscalingV2().HorizontalPodAutoscalers(namespace)
	hpa, err := hpas.Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.changed = s
	hpa.Spec = w.hpa(s).Spec
	hpa.Generation++
	if _, err := hpas.Update(w.t.Context(), hpa, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// observe takes down what the newest sync did.
func (w *world) observe() {
	if w.seen == w.observed {
		return
	}
	if w.seen != w.observed+1 {
		w.t.Errorf("%d syncs at a time", w.seen-w.observed)
	}
	hpa, err := w.client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	now := want{Replicas: w.replicas}
	for _, c := range hpa.Status.Conditions {
		text := "-" + c.Reason
		if c.Status == v1.ConditionTrue {
			text = "+" + c.Reason
		}
		switch c.Type {
		case autoscalingv2.AbleToScale:
			now.Able = text
		case autoscalingv2.ScalingActive:
			now.Active = text
		case autoscalingv2.ScalingLimited:
			now.Limit = text
		case autoscalingv2.ScaledToZero:
			now.Zero = text
		}
	}
	short := now
	drop := func(field *string, before string) {
		if *field == before {
			*field = ""
		}
	}
	drop(&short.Able, w.last.Able)
	drop(&short.Active, w.last.Active)
	drop(&short.Limit, w.last.Limit)
	drop(&short.Zero, w.last.Zero)
	s := &w.record.Syncs[w.seen-1]
	if w.next == nil && s.Want != short {
		w.t.Errorf("sync %d at %v s: the controller did %+v, recorded is %+v", w.seen-1, s.At, short, s.Want)
	}
	s.Want, w.last, w.observed = short, now, w.seen
}

func (w *world) movePods(s *sync) {
	for _, name := range s.Gone {
		if err := w.pods.Delete(&v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}); err != nil {
			w.t.Error(err)
		}
	}
	for _, p := range s.Pods {
		if err := w.pods.Update(w.pod(p)); err != nil { // or add
			w.t.Error(err)
		}
	}
}

func (w *world) pod(p pod) *v1.Pod {
	out := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: namespace, Labels: map[string]string{"app": "target"}}}
	at := func(offset *int) metav1.Time {
		if offset == nil {
			return metav1.NewTime(w.start.Add(-1000 * time.Second))
		}
		return metav1.NewTime(w.start.Add(seconds(*offset)))
	}
	kind := w.record.Templates[p.Template]
	for _, c := range kind.Containers {
		out.Spec.Containers = append(out.Spec.Containers, v1.Container{Name: c.Name, Resources: v1.ResourceRequirements{Requests: quantities(c.Requests)}})
	}
	if kind.Requests != nil {
		out.Spec.Resources = &v1.ResourceRequirements{Requests: quantities(kind.Requests)}
	}
	out.Status.Phase = v1.PodPhase(cmp.Or(p.Phase, string(v1.PodRunning)))
	if p.Deleting {
		out.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	}
	if !p.NoStart {
		started := at(p.Started)
		out.Status.StartTime = &started
	}
	if p.Ready != "-" {
		ready := v1.ConditionStatus(cmp.Or(p.Ready, string(v1.ConditionTrue)))
		out.Status.Conditions = []v1.PodCondition{{Type: v1.PodReady, Status: ready, LastTransitionTime: at(p.Since)}}
	}
	return out
}

// quantities turns thousandths into quantities.
func quantities(thousandths map[string]int64) v1.ResourceList {
	out := v1.ResourceList{}
	for name, v := range thousandths {
		out[v1.ResourceName(name)] = *resource.NewMilliQuantity(v, resource.DecimalSI)
	}
	return out
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// hpa is the object with the API server's defaults.
func (w *world) hpa(s *spec) *autoscalingv2.HorizontalPodAutoscaler {
	out := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: "1", Generation: 1},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MinReplicas:    &s.Min,
			MaxReplicas:    s.Max,
		},
	}
	for i := range s.Metrics {
		out.Spec.Metrics = append(out.Spec.Metrics, s.Metrics[i].spec())
	}
	if b := s.Behavior; b != nil {
		out.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: w.rules(b.ScaleUp), ScaleDown: w.rules(b.ScaleDown)}
	}
	defaults.SetDefaults_HorizontalPodAutoscaler(out)
	return out
}

func (m *metric) spec() autoscalingv2.MetricSpec {
	target := autoscalingv2.MetricTarget{Type: autoscalingv2.MetricTargetType(m.Type)}
	quantity := resource.NewMilliQuantity(m.Target, resource.DecimalSI)
	switch target.Type {
	case autoscalingv2.UtilizationMetricType:
		percent := int32(m.Target)
		target.AverageUtilization = &percent
	case autoscalingv2.ValueMetricType:
		target.Value = quantity
	case autoscalingv2.AverageValueMetricType:
		target.AverageValue = quantity
	}
	out := autoscalingv2.MetricSpec{Type: autoscalingv2.MetricSourceType(m.Kind)}
	switch out.Type {
	case autoscalingv2.ExternalMetricSourceType:
		out.External = &autoscalingv2.ExternalMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: m.Name}, Target: target}
	case autoscalingv2.ResourceMetricSourceType:
		out.Resource = &autoscalingv2.ResourceMetricSource{Name: v1.ResourceName(m.Name), Target: target}
	default:
		out.ContainerResource = &autoscalingv2.ContainerResourceMetricSource{Name: v1.ResourceName(m.Name), Container: m.Container, Target: target}
	}
	return out
}

func (w *world) rules(r rules) *autoscalingv2.HPAScalingRules {
	out := &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: r.Window}
	if r.Select != "" {
		out.SelectPolicy = (*autoscalingv2.ScalingPolicySelect)(&r.Select)
	}
	for _, p := range r.Policies {
		out.Policies = append(out.Policies, autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.HPAScalingPolicyType(p.Type), Value: p.Value, PeriodSeconds: p.Period})
	}
	if r.Tolerance != nil {
		q, err := resource.ParseQuantity(strconv.FormatFloat(*r.Tolerance, 'f', -1, 64))
		if err != nil {
			w.t.Error(err)
		}
		if q.AsApproximateFloat64() != *r.Tolerance {
			w.t.Errorf("the tolerance %v is %v as a quantity", *r.Tolerance, q.AsApproximateFloat64())
		}
		out.Tolerance = &q
	}
	return out
}

// errReading is what a metrics API answers about a metric that it does not know.
var errReading = errors.New("the server could not find the metric")

// reading finds the newest reading of a metric, by what tells it from the others.
func (w *world) reading(is func(metric) bool) (reading, error) {
	var current *spec
	for i := range w.seen {
		current = cmp.Or(w.record.Syncs[i].Spec, current)
	}
	i := slices.IndexFunc(current.Metrics, is)
	r := w.record.Syncs[w.seen-1].Readings[i]
	if r.Err {
		return r, errReading
	}
	return r, nil
}

// GetResourceMetric answers as the client of the metrics API does.
func (w *world) GetResourceMetric(_ context.Context, resource v1.ResourceName, _ string, _ labels.Selector, container string) (metricsclient.PodMetricsInfo, time.Time, error) {
	r, err := w.reading(func(m metric) bool {
		return m.Kind != "External" && m.Name == string(resource) && m.Container == container
	})
	if err == nil && len(r.Pods) == 0 {
		err = errors.New("no metrics returned")
	}
	out := metricsclient.PodMetricsInfo{}
	for name, v := range r.Pods {
		if len(v) == 1 {
			v = append(v, 0, 30)
		}
		out[name] = metricsclient.PodMetric{Value: v[0], Timestamp: time.Now().Add(-seconds(int(v[1]))), Window: seconds(int(v[2]))}
	}
	return out, time.Now(), err
}

// GetExternalMetric answers as the client of the external metrics API does.
func (w *world) GetExternalMetric(name, _ string, _ labels.Selector) ([]int64, time.Time, error) {
	r, err := w.reading(func(m metric) bool { return m.Kind == "External" && m.Name == name })
	if err == nil && len(r.Values) == 0 {
		err = errors.New("no metrics returned")
	}
	return r.Values, time.Now(), err
}

// GetRawMetric is not asked for.
func (*world) GetRawMetric(string, string, labels.Selector, labels.Selector) (metricsclient.PodMetricsInfo, time.Time, error) {
	return nil, time.Time{}, errReading
}

// GetObjectMetric is not asked for.
func (*world) GetObjectMetric(string, string, *autoscalingv2.CrossVersionObjectReference, labels.Selector) (int64, time.Time, error) {
	return 0, time.Time{}, errReading
}
