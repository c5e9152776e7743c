package hostnode

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	podresource "k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// store reads the two kinds of object that an environment can refer to.
type store interface {
	Secret(ctx context.Context, namespace, name string) (map[string]string, error)
	ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error)
}

// apiStore reads from the API server, each time anew.
type apiStore struct{ client kubernetes.Interface }

func (s apiStore) Secret(ctx context.Context, namespace, name string) (map[string]string, error) {
	o, err := s.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	data := make(map[string]string, len(o.Data))
	for k, v := range o.Data {
		data[k] = string(v)
	}
	return data, nil
}

func (s apiStore) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	o, err := s.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return o.Data, nil
}

// environment resolves a container's variables in Kubernetes' order: base,
// then envFrom, then env, of which each may use those before it as $(NAME).
func environment(ctx context.Context, s store, pod *v1.Pod, c *v1.Container, base map[string]string) (map[string]string, error) {
	vars := maps.Clone(base)
	for _, from := range c.EnvFrom {
		if err := addAll(ctx, s, pod.Namespace, from, vars); err != nil {
			return nil, err
		}
	}
	for _, e := range c.Env {
		value, found, err := variable(ctx, s, pod, c, e, vars)
		if err != nil {
			return nil, fmt.Errorf("resolving env %s: %w", e.Name, err)
		}
		if found {
			vars[e.Name] = value
		}
	}
	return vars, nil
}

// addAll adds what one envFrom entry names.
func addAll(ctx context.Context, s store, namespace string, from v1.EnvFromSource, vars map[string]string) error {
	var data map[string]string
	var err error
	var optional *bool
	switch {
	case from.SecretRef != nil:
		optional = from.SecretRef.Optional
		data, err = s.Secret(ctx, namespace, from.SecretRef.Name)
	case from.ConfigMapRef != nil:
		optional = from.ConfigMapRef.Optional
		data, err = s.ConfigMap(ctx, namespace, from.ConfigMapRef.Name)
	}
	if err != nil {
		if isTrue(optional) && apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("resolving envFrom: %w", err)
	}
	for k, v := range data {
		vars[from.Prefix+k] = v
	}
	return nil
}

// variable resolves one env entry; found is false for an optional reference to nothing.
func variable(ctx context.Context, s store, pod *v1.Pod, c *v1.Container, e v1.EnvVar, vars map[string]string) (value string, found bool, err error) {
	if e.ValueFrom == nil {
		return expand(e.Value, vars), true, nil
	}
	switch from := e.ValueFrom; {
	case from.SecretKeyRef != nil:
		data, err := s.Secret(ctx, pod.Namespace, from.SecretKeyRef.Name)
		return key("Secret", from.SecretKeyRef.Name, from.SecretKeyRef.Key, from.SecretKeyRef.Optional, data, err)
	case from.ConfigMapKeyRef != nil:
		data, err := s.ConfigMap(ctx, pod.Namespace, from.ConfigMapKeyRef.Name)
		return key("ConfigMap", from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional, data, err)
	case from.FieldRef != nil:
		value, err = field(pod, from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err = podresource.ExtractContainerResourceValue(from.ResourceFieldRef, c)
		return value, true, err
	default:
		return "", false, errors.New("this kind of valueFrom is not supported by host nodes")
	}
}

// key takes one key of what was read for a reference.
func key(kind, name, key string, optional *bool, data map[string]string, err error) (string, bool, error) {
	value, found := data[key]
	switch {
	case err != nil && !(isTrue(optional) && apierrors.IsNotFound(err)):
		return "", false, err
	case !found && !isTrue(optional):
		return "", false, fmt.Errorf("%s %q has no key %q", kind, name, key)
	}
	return value, found, nil
}

// field resolves a fieldRef.
func field(pod *v1.Pod, path string) (string, error) {
	switch path {
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs":
		return address, nil
	}
	return fieldpath.ExtractFieldPathAsString(pod, path)
}

// expand replaces $(NAME); $$ is a dollar sign, and an unknown name stays as it is.
func expand(text string, vars map[string]string) string {
	return expansion.Expand(text, expansion.MappingFuncFor(vars))
}

// commandLine returns the container's command and arguments, expanded.
func commandLine(c *v1.Container, vars map[string]string) []string {
	line := slices.Concat(c.Command, c.Args)
	for i := range line {
		line[i] = expand(line[i], vars)
	}
	return line
}

// list returns the variables as a process takes them, sorted. A name with an
// equals sign cannot be handed to a process.
func list(vars map[string]string) []string {
	lines := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !strings.Contains(name, "=") {
			lines = append(lines, name+"="+vars[name])
		}
	}
	return lines
}

func isTrue(b *bool) bool { return b != nil && *b }
