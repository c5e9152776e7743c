package kube

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StripMeta drops what is large and not looked at in a cached object.
func StripMeta(m *metav1.ObjectMeta) {
	m.ManagedFields, m.Annotations, m.Labels = nil, nil, nil
}

// StripTemplate returns a pod template with nothing but the service account and,
// of the containers, their names, their environment, from which trigger parameters
// may be taken, and their resources, by which cpu and memory triggers are judged.
func StripTemplate(t *corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	var out corev1.PodTemplateSpec
	out.Spec.ServiceAccountName, out.Spec.Resources = t.Spec.ServiceAccountName, t.Spec.Resources
	for _, c := range t.Spec.Containers {
		out.Spec.Containers = append(out.Spec.Containers, corev1.Container{Name: c.Name, Env: c.Env, EnvFrom: c.EnvFrom, Resources: c.Resources})
	}
	return out
}
