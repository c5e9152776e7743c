package cli

import (
	"context"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/triggers"
)

// Secret implements kube.Objects.
func (inv *inventory) Secret(_ context.Context, namespace, name string) (map[string][]byte, error) {
	return find(inv.secrets, kube.Ref{Kind: kube.KindSecret, Namespace: namespace, Name: name})
}

// ConfigMap implements kube.Objects.
func (inv *inventory) ConfigMap(_ context.Context, namespace, name string) (map[string]string, error) {
	return find(inv.configMaps, kube.Ref{Kind: kube.KindConfigMap, Namespace: namespace, Name: name})
}

// ServiceAccount implements kube.Objects.
func (inv *inventory) ServiceAccount(_ context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	return find(inv.accounts, kube.Ref{Kind: kube.KindServiceAccount, Namespace: namespace, Name: name})
}

// TriggerAuthentication implements kube.Objects.
func (inv *inventory) TriggerAuthentication(_ context.Context, namespace, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	return find(inv.auths, kube.Ref{Kind: v1alpha1.KindTriggerAuthentication, Namespace: namespace, Name: name})
}

// ClusterTriggerAuthentication implements kube.Objects.
func (inv *inventory) ClusterTriggerAuthentication(_ context.Context, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	return find(inv.auths, kube.Ref{Kind: v1alpha1.KindClusterTriggerAuthentication, Name: name})
}

func find[V any](in map[kube.Ref]V, ref kube.Ref) (V, error) {
	v, ok := in[ref]
	if !ok {
		return v, apierrors.NewNotFound(schema.GroupResource{Resource: ref.Kind}, ref.Name)
	}
	return v, nil
}

// neighbours are the objects of the input as the rules see them.
type neighbours struct{ *inventory }

var _ triggers.Neighbours = neighbours{}

// Rivals implements triggers.Neighbours.
func (n neighbours) Rivals(_ context.Context, o *v1alpha1.ScaledObject) (out []*v1alpha1.ScaledObject, err error) {
	for _, s := range n.subjects {
		if other := s.scaledObject; other != nil && !s.undecoded && other.Namespace == o.Namespace {
			out = append(out, other)
		}
	}
	return out, nil
}

// HPAs implements triggers.Neighbours.
func (n neighbours) HPAs(_ context.Context, o *v1alpha1.ScaledObject) (out []*autoscalingv2.HorizontalPodAutoscaler, err error) {
	for _, h := range n.hpas {
		to := h.Spec.ScaleTargetRef
		asked := v1alpha1.ScaledObject{Spec: v1alpha1.ScaledObjectSpec{ScaleTargetRef: v1alpha1.ScaleTargetRef{APIVersion: to.APIVersion, Kind: to.Kind, Name: to.Name}}}
		key := triggers.TargetKey(&asked)
		if h.Namespace == o.Namespace && (h.Name == o.HPAName() || key != "" && key == triggers.TargetKey(o)) {
			out = append(out, h)
		}
	}
	return out, nil
}

// Pods implements triggers.Neighbours. Of a workload that is not in the input
// nothing is known: it may be in the cluster.
func (n neighbours) Pods(_ context.Context, o *v1alpha1.ScaledObject) (*corev1.PodSpec, error) {
	return n.workloads[target(o)], nil
}

// LimitRanges implements triggers.Neighbours.
func (n neighbours) LimitRanges(_ context.Context, namespace string) (out []corev1.LimitRange, err error) {
	for _, l := range n.limits {
		if l.Namespace == namespace {
			out = append(out, l)
		}
	}
	return out, nil
}
