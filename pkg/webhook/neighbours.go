package webhook

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/triggers"
)

// neighbours looks objects up in the cache, by index and without copies.
type neighbours struct{ from client.Reader }

var _ triggers.Neighbours = neighbours{}

// Rivals implements triggers.Neighbours.
func (n neighbours) Rivals(ctx context.Context, o *v1alpha1.ScaledObject) (out []*v1alpha1.ScaledObject, err error) {
	for index, key := range map[string]string{IndexTarget: triggers.TargetKey(o), IndexHPA: o.HPAName()} {
		if key == "" {
			continue
		}
		var list v1alpha1.ScaledObjectList
		if err := n.list(ctx, &list, o.Namespace, client.MatchingFields{index: key}); err != nil {
			return nil, err
		}
		for i := range list.Items {
			out = append(out, &list.Items[i])
		}
	}
	return out, nil
}

// HPAs implements triggers.Neighbours.
func (n neighbours) HPAs(ctx context.Context, o *v1alpha1.ScaledObject) (out []*autoscalingv2.HorizontalPodAutoscaler, err error) {
	if key := triggers.TargetKey(o); key != "" {
		var list autoscalingv2.HorizontalPodAutoscalerList
		if err := n.list(ctx, &list, o.Namespace, client.MatchingFields{IndexTarget: key}); err != nil {
			return nil, err
		}
		for i := range list.Items {
			if list.Items[i].Name != o.HPAName() { // it comes below
				out = append(out, &list.Items[i])
			}
		}
	}
	named := new(autoscalingv2.HorizontalPodAutoscaler)
	switch err := n.get(ctx, o.Namespace, o.HPAName(), named); {
	case err == nil:
		out = append(out, named)
	case !apierrors.IsNotFound(err):
		return nil, err
	}
	return out, nil
}

// Pods implements triggers.Neighbours. Of workloads other than Deployments and
// StatefulSets nothing is known here.
func (n neighbours) Pods(ctx context.Context, o *v1alpha1.ScaledObject) (*corev1.PodSpec, error) {
	kind, err := o.Spec.ScaleTargetRef.GroupVersionKind()
	if err != nil || o.Spec.ScaleTargetRef.Name == "" {
		return nil, nil //nolint:nilerr // the rules about the object say so
	}
	var pod *corev1.PodSpec
	switch kind.GroupKind() {
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "Deployment"}:
		d := new(appsv1.Deployment)
		err, pod = n.get(ctx, o.Namespace, o.Spec.ScaleTargetRef.Name, d), &d.Spec.Template.Spec
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "StatefulSet"}:
		s := new(appsv1.StatefulSet)
		err, pod = n.get(ctx, o.Namespace, o.Spec.ScaleTargetRef.Name, s), &s.Spec.Template.Spec
	default:
		return nil, nil
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, &triggers.NoTargetError{Kind: kind.Kind, Namespace: o.Namespace, Name: o.Spec.ScaleTargetRef.Name}
	case err != nil:
		return nil, err
	}
	return pod, nil
}

// LimitRanges implements triggers.Neighbours.
func (n neighbours) LimitRanges(ctx context.Context, namespace string) ([]corev1.LimitRange, error) {
	var list corev1.LimitRangeList
	err := n.list(ctx, &list, namespace)
	return list.Items, err
}

// authentication returns what an authenticationRef in a namespace refers to; nil
// when that does not exist.
func (n neighbours) authentication(ctx context.Context, namespace string, ref v1alpha1.AuthenticationRef) (*v1alpha1.TriggerAuthenticationSpec, error) {
	var err error
	var spec *v1alpha1.TriggerAuthenticationSpec
	if ref.EffectiveKind() == v1alpha1.KindClusterTriggerAuthentication {
		a := new(v1alpha1.ClusterTriggerAuthentication)
		err, spec = n.get(ctx, "", ref.Name, a), &a.Spec
	} else {
		a := new(v1alpha1.TriggerAuthentication)
		err, spec = n.get(ctx, namespace, ref.Name, a), &a.Spec
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return spec, err
}

func (n neighbours) list(ctx context.Context, into client.ObjectList, namespace string, opts ...client.ListOption) error {
	return n.from.List(ctx, into, append(opts, client.InNamespace(namespace), client.UnsafeDisableDeepCopy)...)
}

func (n neighbours) get(ctx context.Context, namespace, name string, into client.Object) error {
	return n.from.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into, client.UnsafeDisableDeepCopy)
}
