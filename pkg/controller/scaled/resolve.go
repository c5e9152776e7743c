package scaled

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// Resolver turns the triggers of objects into values that can be measured. All
// fields are required.
type Resolver struct {
	Registry    *scalers.Registry
	Credentials kube.Credentials
	References  References
	Now         func() time.Time
}

// Resolved is what the triggers of an object come to.
type Resolved struct {
	triggers.Result

	// StaleAt is when to resolve anew although nothing changed; zero: never.
	StaleAt time.Time
}

// Resolve resolves credentials and parses the triggers. What they depend on is
// watched from now on, also what is missing. With formulaOnly the triggers feed a
// formula and may go without a target. The error says nothing of the object: what
// is in force stays so.
func (r Resolver) Resolve(ctx context.Context, owner engine.Owner, w kube.Workload, specs []v1alpha1.Trigger, formulaOnly bool) (Resolved, error) {
	var out Resolved
	var refs []kube.Ref
	var transient error
	inputs := make([]triggers.Input, len(specs))
	for i, t := range specs {
		found, err := r.Credentials.Resolve(ctx, t, w)
		if err == nil {
			err = r.contradictions(ctx, t, w.Namespace)
		}
		found.Values.FormulaOnly = formulaOnly
		inputs[i] = triggers.Input{Spec: t, Values: found.Values, Err: err}
		refs = append(refs, found.Refs...)
		if at := r.Now().Add(found.FreshFor); found.FreshFor > 0 && (out.StaleAt.IsZero() || at.Before(out.StaleAt)) {
			out.StaleAt = at
		}
		if unread, ok := errors.AsType[*kube.TransientError](err); ok {
			transient = unread
		}
	}
	r.References.Set(string(owner), unique(refs))
	if transient == nil {
		out.Result = triggers.Parse(r.Registry, inputs)
	}
	return out, transient
}

// contradictions says what contradicts itself in the authentication object of a
// trigger, as admission would have.
func (r Resolver) contradictions(ctx context.Context, t v1alpha1.Trigger, namespace string) error {
	if t.AuthenticationRef == nil {
		return nil
	}
	ref := *t.AuthenticationRef
	forAll := ref.EffectiveKind() == v1alpha1.KindClusterTriggerAuthentication
	var spec *v1alpha1.TriggerAuthenticationSpec
	var err error
	if forAll {
		spec, err = r.Credentials.Objects.ClusterTriggerAuthentication(ctx, ref.Name)
	} else {
		spec, err = r.Credentials.Objects.TriggerAuthentication(ctx, namespace, ref.Name)
	}
	if err != nil {
		return fmt.Errorf("reading %s %q: %w", ref.EffectiveKind(), ref.Name, err)
	}
	if wrong := triggers.CheckAuthentication(spec, forAll); len(wrong) > 0 {
		return fmt.Errorf("%s %q: %s", ref.EffectiveKind(), ref.Name, Text(wrong))
	}
	return nil
}

// Forget ends the watching of what owner depends on.
func (r Resolver) Forget(owner engine.Owner) { r.References.Set(string(owner), nil) }

// unique sorts refs and drops what occurs twice.
func unique(refs []kube.Ref) []kube.Ref {
	slices.SortFunc(refs, func(a, b kube.Ref) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(refs)
}

// NeedsEnvironment reports whether some parameter may come from the workload's
// environment: by its name, or by way of an authentication object.
func NeedsEnvironment(list []v1alpha1.Trigger) bool {
	return slices.ContainsFunc(list, func(t v1alpha1.Trigger) bool {
		for k := range t.Metadata {
			if strings.HasSuffix(k, "FromEnv") {
				return true
			}
		}
		return t.AuthenticationRef != nil
	})
}
