package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// environment resolves variables of one container as they are declared: from
// the API objects, not from a running pod.
type environment struct {
	read      *recorder
	namespace string
	container *corev1.Container
}

// resolve returns those of the wanted variables that the container sets.
// Secrets and ConfigMaps are read only where a wanted variable, or one that it
// refers to by $(NAME), may come from them; so a reference that has nothing to
// do with the trigger cannot break it.
//
// The order is Kubernetes': envFrom first, then env, where later entries win and
// $(NAME) expands to what is declared before it.
func (e environment) resolve(ctx context.Context, wanted []string) (map[string]string, error) {
	need, outside := e.closure(wanted)
	values := map[string]string{}
	var err error
	if outside {
		values, err = e.fromSources(ctx, need)
	}
	var errs []error
	if err != nil {
		errs = append(errs, err)
	}
	for _, v := range e.container.Env {
		if !need[v.Name] {
			continue
		}
		value, ok, err := e.value(ctx, v, values)
		if err != nil {
			errs = append(errs, fmt.Errorf("resolving environment variable %q of container %q: %w", v.Name, e.container.Name, err))
		}
		if ok {
			values[v.Name] = value
		}
	}
	return values, errors.Join(errs...)
}

// closure adds the variables that the wanted ones refer to. Outside says that
// one of them is used before env has set it, so that it may come from envFrom.
func (e environment) closure(wanted []string) (need map[string]bool, outside bool) {
	need = map[string]bool{}
	use := func(name string, before int) {
		need[name] = true
		outside = outside || !slices.ContainsFunc(e.container.Env[:before], func(v corev1.EnvVar) bool {
			return v.Name == name && !optional(v)
		})
	}
	for _, n := range wanted {
		use(n, len(e.container.Env))
	}
	for i, v := range slices.Backward(e.container.Env) {
		if need[v.Name] {
			expand(v.Value, func(name string) (string, bool) {
				use(name, i)
				return "", false
			})
		}
	}
	return need, outside
}

// optional reports whether an entry of env sets its variable only if what it
// refers to exists.
func optional(v corev1.EnvVar) bool {
	from := v.ValueFrom
	is := func(b *bool) bool { return b != nil && *b }
	return from != nil && (from.SecretKeyRef != nil && is(from.SecretKeyRef.Optional) ||
		from.ConfigMapKeyRef != nil && is(from.ConfigMapKeyRef.Optional))
}

// fromSources reads envFrom.
func (e environment) fromSources(ctx context.Context, need map[string]bool) (map[string]string, error) {
	values := map[string]string{}
	var errs []error
	for _, from := range e.container.EnvFrom {
		data, err := e.source(ctx, from)
		if err != nil {
			errs = append(errs, fmt.Errorf("resolving envFrom of container %q: %w", e.container.Name, err))
		}
		for k, v := range data {
			if need[from.Prefix+k] {
				values[from.Prefix+k] = v
			}
		}
	}
	return values, errors.Join(errs...)
}

// source reads one entry of envFrom.
func (e environment) source(ctx context.Context, from corev1.EnvFromSource) (map[string]string, error) {
	switch {
	case from.SecretRef != nil:
		data, err := e.read.secret(ctx, e.namespace, from.SecretRef.Name)
		out := make(map[string]string, len(data))
		for k, v := range data {
			out[k] = string(v)
		}
		return out, unlessOptional(err, from.SecretRef.Optional)
	case from.ConfigMapRef != nil:
		data, err := e.read.configMap(ctx, e.namespace, from.ConfigMapRef.Name)
		return data, unlessOptional(err, from.ConfigMapRef.Optional)
	}
	return nil, nil
}

// value resolves one entry of env; ok is false when it has no value that can be
// known from the API, such as a field of the running pod.
func (e environment) value(ctx context.Context, v corev1.EnvVar, known map[string]string) (value string, ok bool, err error) {
	switch {
	case v.ValueFrom == nil:
		return expand(v.Value, func(name string) (string, bool) {
			value, ok := known[name]
			return value, ok
		}), true, nil
	case v.ValueFrom.SecretKeyRef != nil:
		from := v.ValueFrom.SecretKeyRef
		data, err := e.read.secret(ctx, e.namespace, from.Name)
		raw, ok := data[from.Key]
		if err == nil && !ok {
			err = &MissingError{Ref{KindSecret, e.namespace, from.Name}, from.Key}
		}
		return string(raw), ok, unlessOptional(err, from.Optional)
	case v.ValueFrom.ConfigMapKeyRef != nil:
		from := v.ValueFrom.ConfigMapKeyRef
		data, err := e.read.configMap(ctx, e.namespace, from.Name)
		value, ok := data[from.Key]
		if err == nil && !ok {
			err = &MissingError{Ref{KindConfigMap, e.namespace, from.Name}, from.Key}
		}
		return value, ok, unlessOptional(err, from.Optional)
	}
	return "", false, nil
}

// unlessOptional drops the error of a missing object or key that may be missing.
func unlessOptional(err error, optional *bool) error {
	if _, missing := errors.AsType[*MissingError](err); missing && optional != nil && *optional {
		return nil
	}
	return err
}

// expand replaces $(NAME) by what lookup says; a name that lookup does not know
// stays as written, and $$ stands for one dollar sign.
func expand(s string, lookup func(string) (string, bool)) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexByte(s, ')')
		switch {
		case s[1] == '$':
			out.WriteByte('$')
			s = s[2:]
		case s[1] == '(' && end > 0:
			if v, ok := lookup(s[2:end]); ok {
				out.WriteString(v)
			} else {
				out.WriteString(s[:end+1])
			}
			s = s[end+1:]
		default:
			out.WriteByte('$')
			s = s[1:]
		}
	}
}
