package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Workload is what credentials may be taken from besides authentication
// objects.
type Workload struct {
	// Namespace and Name are those of the object with the triggers.
	Namespace, Name string
	// Pod is the workload's pod template; nil when it has none.
	Pod *corev1.PodSpec
	// Container is the container whose environment counts; empty means the first.
	Container string
}

// Credentials resolves what a trigger's parameters are made of.
type Credentials struct {
	// Objects is where Secrets and the like are read.
	Objects Objects
	// ClusterNamespace is where a ClusterTriggerAuthentication finds its Secrets,
	// ConfigMaps and service accounts.
	ClusterNamespace string
	// RestrictSecrets denies Secrets outside ClusterNamespace.
	RestrictSecrets bool
	// VaultAddresses are the Vault servers that TriggerAuthentications may have weir
	// log in to as itself. Whoever may write one chooses the server, which could use
	// weir's token as weir does; a ClusterTriggerAuthentication may name any.
	VaultAddresses []string
	// FilePathRoot is the directory that filePath is relative to; empty means that
	// there is none.
	FilePathRoot string
	// VaultToken is presented to Vault instead of the token that an authentication
	// object holds; zero means that there is none.
	VaultToken param.Secret
	// Stores are where secrets outside Kubernetes are read.
	Stores Stores
}

// Stores are the readers of what is not in the Kubernetes API. With a nil one,
// what it would read is an *UnreadError.
type Stores struct {
	Vault secretstore.Reader[secretstore.VaultLogin, secretstore.VaultItem]
	Azure secretstore.Reader[secretstore.AzureLogin, secretstore.AzureItem]
	GCP   secretstore.Reader[secretstore.GCPLogin, secretstore.GCPItem]
	AWS   secretstore.Reader[secretstore.AWSLogin, secretstore.AWSItem]
	// Tokens requests tokens for service accounts.
	Tokens secretstore.Reader[secretstore.NoLogin, secretstore.ServiceAccount]
}

// UnreadError says that an authentication source is not read here at all, so that
// nothing is known of its values.
type UnreadError struct {
	Source string // as the authentication object names it
	Reason string
}

// Error implements error.
func (e *UnreadError) Error() string {
	return fmt.Sprintf("authentication source %s is not read here: %s", e.Source, e.Reason)
}

// Resolved is what Credentials found out about one trigger.
type Resolved struct {
	// Values are the trigger's parameters.
	Values param.Values
	// Refs are the objects that the values depend on, sorted; those too that are
	// missing.
	Refs []Ref
	// FreshFor is how long the values are good, though nothing in the cluster
	// changes, or with an error when it is worth trying again. At least a second;
	// zero means until something changes.
	FreshFor time.Duration
}

// Resolve finds the values of a trigger. Errors come with everything that could
// be resolved nevertheless, so that the rest can be checked; a trigger whose
// credentials are incomplete must not be used. All problems are in the error. It
// holds a *TransientError when something could not be read for a reason that
// says nothing of the trigger: then keep to what was resolved before, and try
// again.
func (c Credentials) Resolve(ctx context.Context, t v1alpha1.Trigger, w Workload) (Resolved, error) {
	r := &resolution{Credentials: c, read: &recorder{objects: c.Objects, refs: map[Ref]bool{}}, workload: w, trigger: w.Namespace}
	if c.RestrictSecrets {
		r.read.only = c.ClusterNamespace
	}
	r.values = param.Values{Metadata: t.Metadata, Namespace: w.Namespace, Name: w.Name, MetricType: string(t.MetricType)}
	var err error
	r.values.Env, err = r.env(ctx, w.Container, fromEnvNames(t.Metadata))
	r.fail(err)
	if t.AuthenticationRef != nil {
		r.authenticate(ctx, *t.AuthenticationRef)
	}
	refs := slices.SortedFunc(maps.Keys(r.read.refs), func(a, b Ref) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return Resolved{Values: r.values, Refs: refs, FreshFor: r.fresh}, errors.Join(r.errs...)
}

// resolution is the work on one trigger.
type resolution struct {
	Credentials
	read     *recorder
	workload Workload
	trigger  string // namespace of the trigger

	cluster bool   // the authentication object is a cluster's
	objects string // namespace of what the authentication object names

	values param.Values
	errs   []error
	fresh  time.Duration
}

// fail notes a problem; nil is none.
func (r *resolution) fail(err error) {
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

// set gives an authentication parameter its value, or notes why it has none.
func (r *resolution) set(parameter, value string, err error) {
	if err != nil {
		r.fail(fmt.Errorf("resolving authentication parameter %q: %w", parameter, err))
	}
	r.values.Auth[parameter] = value
}

// within notes that something is good for d only.
func (r *resolution) within(d time.Duration) {
	if r.fresh == 0 || d < r.fresh {
		r.fresh = d
	}
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
func (r *resolution) env(ctx context.Context, name string, wanted []string) (map[string]string, error) {
	if len(wanted) == 0 || r.workload.Pod == nil {
		return nil, nil // no pod template is an empty environment; the parameter says what it misses
	}
	found, err := container(r.workload.Pod, name)
	if err != nil {
		return nil, err
	}
	return environment{r.read, r.workload.Namespace, found}.resolve(ctx, wanted)
}

// authenticate adds what the authentication object says. Later sources win; a
// file excludes all others.
func (r *resolution) authenticate(ctx context.Context, to v1alpha1.AuthenticationRef) {
	spec, err := r.read.authentication(ctx, r.trigger, to)
	if err != nil {
		r.fail(err)
		return
	}
	r.objects = r.trigger
	if r.cluster = to.EffectiveKind() == v1alpha1.KindClusterTriggerAuthentication; r.cluster {
		r.objects = r.ClusterNamespace
	}
	r.values.Auth = map[string]string{}
	if spec.FilePath != "" && r.cluster {
		r.fail(r.file(spec.FilePath))
	} else {
		r.sources(ctx, spec)
	}
	r.identify(ctx, spec.PodIdentity)
}

// sources adds what the sources of an authentication object say, the weakest
// first.
func (r *resolution) sources(ctx context.Context, spec *v1alpha1.TriggerAuthenticationSpec) {
	if spec.FilePath != "" {
		r.fail(errors.New("filePath is for ClusterTriggerAuthentications only; use secretTargetRef"))
	}
	for _, e := range spec.Env {
		values, err := r.env(ctx, e.ContainerName, []string{e.Name})
		value, ok := values[e.Name]
		if err == nil && !ok {
			err = fmt.Errorf("the workload's container does not set environment variable %q", e.Name)
		}
		r.set(e.Parameter, value, err)
	}
	for _, t := range spec.ConfigMapTargetRef {
		data, err := r.read.configMap(ctx, r.objects, t.Name)
		value, ok := data[t.Key]
		if err == nil && !ok {
			err = &MissingError{Ref{KindConfigMap, r.objects, t.Name}, t.Key}
		}
		r.set(t.Parameter, value, err)
	}
	for _, t := range spec.SecretTargetRef {
		value, err := r.secretKey(ctx, v1alpha1.SecretKeyRef{Name: t.Name, Key: t.Key})
		r.set(t.Parameter, value, err)
	}
	r.vault(ctx, spec.HashiCorpVault)
	r.azure(ctx, spec.AzureKeyVault)
	r.gcp(ctx, spec.GCPSecretManager)
	r.aws(ctx, spec.AWSSecretManager)
	for _, t := range spec.BoundServiceAccountToken {
		value, err := r.token(ctx, t.ServiceAccountName)
		r.set(t.Parameter, value, err)
	}
	r.oauth2(ctx, spec.OAuth2)
}

// secretKey reads one key of a Secret that the authentication object names.
func (r *resolution) secretKey(ctx context.Context, ref v1alpha1.SecretKeyRef) (string, error) {
	data, err := r.read.secret(ctx, r.objects, ref.Name)
	value, ok := data[ref.Key]
	if err == nil && !ok {
		err = &MissingError{Ref{KindSecret, r.objects, ref.Name}, ref.Key}
	}
	return string(value), err
}
