package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Workload is what credentials may be taken from besides authentication
// objects.
type Workload struct {
	// Namespace is that of the object with the triggers.
	Namespace string
	// Pod is the workload's pod template; nil when it has none.
	Pod *corev1.PodSpec
	// Container is the container whose environment counts; empty means the first.
	Container string
}

// Credentials resolves what a trigger's parameters are made of.
type Credentials struct {
	// Objects is where Secrets and the like are read.
	Objects Objects
	// ClusterNamespace is where a ClusterTriggerAuthentication finds its Secrets
	// and ConfigMaps.
	ClusterNamespace string
}

// Resolve returns the values of a trigger, and the objects they depend on,
// sorted; those too that are missing. Errors come with everything that could be
// resolved nevertheless, so that the rest can be checked; a trigger whose
// credentials are incomplete must not be used.
func (c Credentials) Resolve(ctx context.Context, t v1alpha1.Trigger, w Workload) (param.Values, []Ref, error) {
	read := &recorder{c.Objects, map[Ref]bool{}}
	values := param.Values{Metadata: t.Metadata}
	var errs []error
	var err error
	if values.Env, err = c.env(ctx, read, w, w.Container, fromEnvNames(t.Metadata)); err != nil {
		errs = append(errs, err)
	}
	if t.AuthenticationRef != nil {
		if err := c.authenticate(ctx, read, w, *t.AuthenticationRef, &values); err != nil {
			errs = append(errs, err)
		}
	}
	refs := slices.SortedFunc(maps.Keys(read.refs), func(a, b Ref) int {
		return strings.Compare(a.Kind+"/"+a.Namespace+"/"+a.Name, b.Kind+"/"+b.Namespace+"/"+b.Name)
	})
	return values, refs, errors.Join(errs...)
}

// fromEnvNames returns the variables that metadata names, sorted.
func fromEnvNames(metadata map[string]string) []string {
	var names []string
	for k, v := range metadata {
		if v = strings.TrimSpace(v); strings.HasSuffix(k, "FromEnv") && v != "" {
			names = append(names, v)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// env resolves variables of a container; without names it reads nothing.
func (Credentials) env(ctx context.Context, read *recorder, w Workload, name string, wanted []string) (map[string]string, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	if w.Pod == nil {
		return nil, nil // no pod template is an empty environment; the parameter says what it misses
	}
	found, err := container(w.Pod, name)
	if err != nil {
		return nil, err
	}
	return environment{read, w.Namespace, found}.resolve(ctx, wanted)
}

// authenticate adds what the authentication object says. Later sources win.
func (c Credentials) authenticate(ctx context.Context, read *recorder, w Workload, to v1alpha1.AuthenticationRef, out *param.Values) error {
	spec, err := read.authentication(ctx, w.Namespace, to)
	if err != nil {
		return err
	}
	namespace := w.Namespace
	if to.EffectiveKind() == v1alpha1.KindClusterTriggerAuthentication {
		namespace = c.ClusterNamespace
	}
	out.Identity = identity(spec)
	auth := map[string]string{}
	errs := []error{unsupported(spec)}
	for _, e := range spec.Env {
		values, err := c.env(ctx, read, w, e.ContainerName, []string{e.Name})
		value, ok := values[e.Name]
		if err == nil && !ok {
			err = fmt.Errorf("the workload's container does not set environment variable %q", e.Name)
		}
		errs = append(errs, about(e.Parameter, err))
		auth[e.Parameter] = value
	}
	for _, r := range spec.ConfigMapTargetRef {
		data, err := read.configMap(ctx, namespace, r.Name)
		value, ok := data[r.Key]
		if err == nil && !ok {
			err = &MissingError{Ref{KindConfigMap, namespace, r.Name}, r.Key}
		}
		errs = append(errs, about(r.Parameter, err))
		auth[r.Parameter] = value
	}
	for _, r := range spec.SecretTargetRef {
		data, err := read.secret(ctx, namespace, r.Name)
		value, ok := data[r.Key]
		if err == nil && !ok {
			err = &MissingError{Ref{KindSecret, namespace, r.Name}, r.Key}
		}
		errs = append(errs, about(r.Parameter, err))
		auth[r.Parameter] = string(value)
	}
	out.Auth = auth
	return errors.Join(errs...)
}

// about says which authentication parameter an error concerns.
func about(parameter string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("resolving authentication parameter %q: %w", parameter, err)
}

// identity copies the pod identity.
func identity(spec *v1alpha1.TriggerAuthenticationSpec) param.Identity {
	p := spec.PodIdentity
	if p == nil {
		return param.Identity{}
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return param.Identity{
		Provider: string(p.Provider), ID: text(p.IdentityID), TenantID: text(p.IdentityTenantID),
		AuthorityHost: text(p.IdentityAuthorityHost), RoleARN: text(p.RoleArn), ExternalID: text(p.ExternalID),
		Owner: string(p.EffectiveIdentityOwner()),
	}
}

// unsupported refuses the sources that this version does not read: a parameter
// that is silently absent would show as a wrong password somewhere else.
func unsupported(spec *v1alpha1.TriggerAuthenticationSpec) error {
	var errs []error
	for name, used := range map[string]bool{
		"filePath": spec.FilePath != "", "hashiCorpVault": spec.HashiCorpVault != nil,
		"azureKeyVault": spec.AzureKeyVault != nil, "gcpSecretManager": spec.GCPSecretManager != nil,
		"awsSecretManager": spec.AWSSecretManager != nil, "oauth2": spec.OAuth2 != nil,
		"boundServiceAccountToken": len(spec.BoundServiceAccountToken) > 0,
	} {
		if used {
			errs = append(errs, fmt.Errorf("authentication source %s is not supported by this version; "+
				"use secretTargetRef, configMapTargetRef or env", name))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
