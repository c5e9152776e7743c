package webhook

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/triggers"
)

// scaledObject judges a ScaledObject.
func (s *Server) scaledObject(ctx context.Context, req *admission.Request) (v verdict, err error) {
	o, before, err := decode[v1alpha1.ScaledObject](req)
	if err != nil || !o.DeletionTimestamp.IsZero() {
		return v, err
	}
	if before != nil && equality.Semantic.DeepEqual(o.Spec, before.Spec) {
		const key = v1alpha1.AnnotationPausedReplicas
		problems, warnings := triggers.CheckAnnotations(o)
		if o.Annotations[key] == before.Annotations[key] {
			problems = nil // it was there
		}
		v.add(problems, warnings)
		return v, nil
	}
	v.add(triggers.CheckScaledObject(o))
	problems, warnings, err := s.triggers(ctx, o.Namespace, o.Name, o.Spec.Triggers, o.Spec.Modifiers().InUse())
	if err != nil {
		return v, err
	}
	v.add(problems, warnings)
	problems, warnings, err = triggers.CheckNeighbours(ctx, neighbours{s.cfg.Cache}, o, before)
	v.add(problems, warnings)
	return v, err
}

// scaledJob judges a ScaledJob.
func (s *Server) scaledJob(ctx context.Context, req *admission.Request) (v verdict, err error) {
	j, before, err := decode[v1alpha1.ScaledJob](req)
	if err != nil || !j.DeletionTimestamp.IsZero() || before != nil && equality.Semantic.DeepEqual(j.Spec, before.Spec) {
		return v, err
	}
	v.add(triggers.CheckScaledJob(j))
	problems, warnings, err := s.triggers(ctx, j.Namespace, j.Name, j.Spec.Triggers, false)
	v.add(problems, warnings)
	return v, err
}

// triggerAuthentication judges a TriggerAuthentication.
func (s *Server) triggerAuthentication(_ context.Context, req *admission.Request) (v verdict, err error) {
	a, before, err := decode[v1alpha1.TriggerAuthentication](req)
	if err != nil || !a.DeletionTimestamp.IsZero() || before != nil && equality.Semantic.DeepEqual(a.Spec, before.Spec) {
		return v, err
	}
	v.add(triggers.CheckAuthentication(&a.Spec, false), nil)
	return v, nil
}

// clusterTriggerAuthentication judges a ClusterTriggerAuthentication.
func (s *Server) clusterTriggerAuthentication(_ context.Context, req *admission.Request) (v verdict, err error) {
	a, before, err := decode[v1alpha1.ClusterTriggerAuthentication](req)
	if err != nil || !a.DeletionTimestamp.IsZero() || before != nil && equality.Semantic.DeepEqual(a.Spec, before.Spec) {
		return v, err
	}
	v.add(triggers.CheckAuthentication(&a.Spec, true), nil)
	return v, nil
}

// triggers parses triggers without their credentials. What only another state of
// the authentication object would make right is a warning: it may be applied next.
func (s *Server) triggers(ctx context.Context, namespace, name string, specs []v1alpha1.Trigger, formulaOnly bool) (problems, warnings []triggers.Problem, err error) {
	open, closed := make([]triggers.Input, len(specs)), make([]triggers.Input, len(specs))
	for i, spec := range specs {
		values := param.Values{
			Metadata: spec.Metadata, Namespace: namespace, Name: name,
			MetricType: string(spec.MetricType), FormulaOnly: formulaOnly,
		}
		unknown := triggers.Unknown{Env: true, Auth: spec.AuthenticationRef != nil}
		open[i] = triggers.Input{Spec: spec, Values: values, Unknown: unknown}
		closed[i] = open[i]
		if spec.AuthenticationRef == nil {
			continue
		}
		auth, err := neighbours{s.cfg.Cache}.authentication(ctx, namespace, *spec.AuthenticationRef)
		if err != nil {
			return nil, nil, fmt.Errorf("looking for authentication objects: %w", err)
		}
		if auth == nil {
			warnings = append(warnings, noAuthentication(i, namespace, *spec.AuthenticationRef))
			continue
		}
		closed[i].Unknown, closed[i].Values.Identity = triggers.KnownAuthentication(auth)
	}
	whole := triggers.Parse(s.cfg.Registry, open)
	narrow := triggers.Parse(s.cfg.Registry, closed)
	warnings = append(warnings, narrow.Warnings...)
	for _, p := range narrow.Problems {
		if !slices.Contains(whole.Problems, p) {
			p.Message += fmt.Sprintf(" (with what %s %q gives now)", specs[p.Trigger].AuthenticationRef.EffectiveKind(), specs[p.Trigger].AuthenticationRef.Name)
			warnings = append(warnings, p)
		}
	}
	return whole.Problems, warnings, nil
}

// noAuthentication warns of an authentication object that does not exist.
func noAuthentication(i int, namespace string, ref v1alpha1.AuthenticationRef) triggers.Problem {
	where := fmt.Sprintf("%s %q", ref.EffectiveKind(), ref.Name)
	if ref.EffectiveKind() != v1alpha1.KindClusterTriggerAuthentication {
		where += fmt.Sprintf(" in namespace %q", namespace)
	}
	return triggers.Problem{
		Trigger: i, Field: fmt.Sprintf("spec.triggers[%d].authenticationRef", i),
		Message: where + " does not exist; create it or correct the reference",
	}
}
