package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/triggers"
)

// examination reads manifests and judges what is in them.
type examination struct {
	registry         *scalers.Registry
	allowMissing     bool   // references that lead out of the input are warnings
	namespace        string // of objects that name none
	clusterNamespace string // where ClusterTriggerAuthentications read Secrets
}

// run returns the subjects in the order of the input. The error is a bug in the
// program.
func (e examination) run(ctx context.Context, stdin io.Reader, files []string) ([]*subject, error) {
	in := input{stdin: stdin}
	for _, f := range files {
		in.read(f)
	}
	inv := newInventory(e.namespace)
	for _, d := range in.docs {
		if d.err != nil {
			inv.subjects = append(inv.subjects, unreadable(d))
			continue
		}
		if err := inv.add(d); err != nil {
			return nil, err
		}
	}
	duplicates(inv.subjects)
	for _, s := range inv.subjects {
		if err := e.examine(ctx, inv, s); err != nil {
			return nil, err
		}
	}
	return inv.subjects, nil
}

// examine applies the rules to an object of ours. An error is a bug in the program.
func (e examination) examine(ctx context.Context, inv *inventory, s *subject) error {
	if s.undecoded && s.scales() {
		s.triggers = writtenTriggers(s.object)
	}
	if s.undecoded {
		s.merge(nil, nil)
		return nil
	}
	var problems, warnings []triggers.Problem
	add := func(p, w []triggers.Problem) { problems, warnings = append(problems, p...), append(warnings, w...) }
	switch {
	case s.scaledObject != nil:
		o := s.scaledObject
		add(triggers.CheckScaledObject(o))
		add(checkTargetKind(o.Spec.ScaleTargetRef), nil)
		add(e.parse(ctx, inv, s, o.Spec.Triggers, o.Spec.Modifiers().InUse()))
		p, w, err := triggers.CheckNeighbours(ctx, neighbours{inv}, o, nil)
		if err != nil {
			return err
		}
		add(p, w)
	case s.scaledJob != nil:
		add(triggers.CheckScaledJob(s.scaledJob))
		add(e.parse(ctx, inv, s, s.scaledJob.Spec.Triggers, false))
	case s.authentication != nil:
		add(triggers.CheckAuthentication(s.authentication, s.kind == v1alpha1.KindClusterTriggerAuthentication), nil)
	}
	triggers.Sort(problems)
	s.merge(problems, warnings)
	return nil
}

// checkTargetKind refuses workloads of Kubernetes' own API groups that cannot be
// scaled. In a cluster the API server is asked, for all groups.
func checkTargetKind(ref v1alpha1.ScaleTargetRef) []triggers.Problem {
	kind, err := ref.GroupVersionKind()
	if err != nil {
		return nil // reported by the rules
	}
	const field = "spec.scaleTargetRef.kind"
	scalable, own := map[string][]string{
		"apps": {"Deployment", "StatefulSet", "ReplicaSet"}, "": {"ReplicationController"}, "batch": nil,
	}[kind.Group]
	switch {
	case !own || slices.Contains(scalable, kind.Kind):
		return nil
	case kind.Group == "batch":
		return []triggers.Problem{{Trigger: -1, Field: field, Message: "Jobs cannot be scaled; write a ScaledJob, which creates them"}}
	}
	return []triggers.Problem{{Trigger: -1, Field: field, Message: fmt.Sprintf(
		"is no kind of %s that can be scaled, which are: %s", kind.GroupVersion(), strings.Join(scalable, ", "))}}
}

// writtenTriggers are the triggers of an object that cannot be decoded.
func writtenTriggers(object map[string]any) []outcome {
	spec, ok := object["spec"].(map[string]any)
	list, isList := spec["triggers"].([]any)
	if !ok || !isList {
		return nil
	}
	out := make([]outcome, len(list))
	for i, item := range list {
		if trigger, ok := item.(map[string]any); ok {
			out[i].kind = text(trigger, "type")
		}
	}
	return out
}

// parse resolves and parses the triggers of s. With formulaOnly they feed a formula.
func (e examination) parse(ctx context.Context, inv *inventory, s *subject, specs []v1alpha1.Trigger, formulaOnly bool) (problems, warnings []triggers.Problem) {
	inputs := make([]triggers.Input, len(specs))
	resolved := make([]credentials, len(specs))
	for i, spec := range specs {
		r := e.resolve(ctx, inv, s, spec)
		resolved[i] = r
		r.values.FormulaOnly = formulaOnly
		inputs[i] = triggers.Input{Spec: spec, Values: r.values, Unknown: r.unknown, Err: errors.Join(r.errs...)}
		s.missing = s.missing || len(r.missing) > 0
		s.triggers = append(s.triggers, outcome{kind: spec.Type, complete: len(r.missing)+len(r.unread) == 0})
	}
	result := triggers.Parse(e.registry, inputs)
	for i, r := range resolved {
		for _, m := range r.missing {
			e.report(&result, located(m, i, specs[i]))
		}
		for _, u := range r.unread {
			result.Warnings = append(result.Warnings, located(u, i, specs[i]))
		}
	}
	for i, t := range result.Triggers {
		s.triggers[t.Index].parsed = &result.Triggers[i]
	}
	return result.Problems, result.Warnings
}

// located says which trigger a problem belongs to, and where in it when that is not
// known: what it takes from elsewhere.
func located(p triggers.Problem, i int, spec v1alpha1.Trigger) triggers.Problem {
	p.Trigger = i
	if p.Field == "" {
		p.Field = fmt.Sprintf("spec.triggers[%d]", i)
		if spec.AuthenticationRef != nil {
			p.Field += ".authenticationRef"
		}
	}
	return p
}

// report files something that is missing in the input.
func (e examination) report(to *triggers.Result, p triggers.Problem) {
	if e.allowMissing {
		to.Warnings = append(to.Warnings, p)
		return
	}
	to.Problems = append(to.Problems, p)
}

// credentials are what the parameters of one trigger are made of.
type credentials struct {
	values  param.Values
	missing []triggers.Problem // references that lead out of the input
	unread  []triggers.Problem // sources that no input can hold
	errs    []error            // everything else that is wrong
	unknown triggers.Unknown   // what the values lack for what is missing or unread
}

// resolve looks up what a trigger's parameters are made of.
func (e examination) resolve(ctx context.Context, inv *inventory, s *subject, spec v1alpha1.Trigger) credentials {
	view := &view{Objects: inv}
	w, known := e.workload(inv, s)
	view.noEnvironment = !known
	found, err := kube.Credentials{Objects: view, ClusterNamespace: e.clusterNamespace}.Resolve(ctx, spec, w)
	out := credentials{values: found.Values}
	for _, err := range leaves(err) {
		if _, ok := errors.AsType[*kube.UnreadError](err); ok {
			out.unread = append(out.unread, triggers.Problem{Message: err.Error()})
			continue
		}
		if _, ok := errors.AsType[*kube.MissingError](err); ok {
			out.missing = append(out.missing, triggers.Problem{Message: err.Error()})
			continue
		}
		out.errs = append(out.errs, err)
	}
	out.unknown = triggers.Unknown{Env: !known, Auth: len(out.missing)+len(out.unread) > 0}
	if known {
		return out
	}
	asked := e.environment(spec)
	if asked = append(asked, view.asked...); len(asked) > 0 {
		slices.Sort(asked)
		out.missing = append(out.missing, triggers.Problem{
			Field:   "spec.scaleTargetRef",
			Message: fmt.Sprintf("%v is not in the input, so that environment variables are not known: %s", target(s.scaledObject), strings.Join(slices.Compact(asked), ", ")),
		})
		out.unknown.Auth = true // what comes from there may come by way of an authentication object
	}
	return out
}

// leaves takes joined errors apart.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range many.Unwrap() {
		out = append(out, leaves(e)...)
	}
	return out
}

// environment returns the variables that the parameters of a trigger name.
func (e examination) environment(spec v1alpha1.Trigger) (asked []string) {
	def, err := e.registry.Find(spec.Type)
	if err != nil {
		return nil
	}
	for _, i := range def.Params {
		if !slices.Contains(i.From, param.Env) {
			continue
		}
		for _, name := range append([]string{i.Name}, i.Aliases...) {
			if variable := strings.TrimSpace(spec.Metadata[name+"FromEnv"]); variable != "" {
				asked = append(asked, variable)
			}
		}
	}
	return asked
}

// workload returns the pods of s, and whether their pod template is known. A
// workload of a kind without pod template is known, and has no environment.
func (e examination) workload(inv *inventory, s *subject) (kube.Workload, bool) {
	w := kube.Workload{Namespace: s.namespace, Name: s.name}
	if j := s.scaledJob; j != nil {
		w.Container = j.Spec.EnvSourceContainerName
		if j.Spec.JobTargetRef != nil {
			w.Pod = &j.Spec.JobTargetRef.Template.Spec
		}
		return w, true
	}
	w.Container = s.scaledObject.Spec.ScaleTargetRef.EnvSourceContainerName
	var known bool
	var pod *corev1.PodSpec
	pod, known = inv.workloads[target(s.scaledObject)]
	w.Pod = pod
	return w, known
}

// target is the workload of a ScaledObject.
func target(o *v1alpha1.ScaledObject) workload {
	ref := o.Spec.ScaleTargetRef
	kind, err := ref.GroupVersionKind()
	if err != nil {
		return workload{namespace: o.Namespace, name: ref.Name} // reported by the rules
	}
	return workload{kind.GroupKind(), o.Namespace, ref.Name}
}

// view is the inventory as a trigger sees it whose workload is not in the input:
// authentication objects lose the variables, which are remembered.
type view struct {
	kube.Objects
	noEnvironment bool
	asked         []string
}

// TriggerAuthentication implements kube.Objects.
func (v *view) TriggerAuthentication(ctx context.Context, namespace, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	spec, err := v.Objects.TriggerAuthentication(ctx, namespace, name)
	return v.cut(spec), err
}

// ClusterTriggerAuthentication implements kube.Objects.
func (v *view) ClusterTriggerAuthentication(ctx context.Context, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	spec, err := v.Objects.ClusterTriggerAuthentication(ctx, name)
	return v.cut(spec), err
}

func (v *view) cut(spec *v1alpha1.TriggerAuthenticationSpec) *v1alpha1.TriggerAuthenticationSpec {
	if spec == nil || !v.noEnvironment {
		return spec
	}
	for _, e := range spec.Env {
		v.asked = append(v.asked, e.Name)
	}
	without := *spec
	without.Env, without.PodIdentity = nil, v.ownIdentity(spec.PodIdentity)
	if m := spec.AWSSecretManager; m != nil {
		store := *m
		store.PodIdentity = v.ownIdentity(m.PodIdentity)
		without.AWSSecretManager = &store
	}
	return &without
}

// ownIdentity drops that the workload owns an identity: which one that is, its
// service account would say.
func (v *view) ownIdentity(p *v1alpha1.PodIdentity) *v1alpha1.PodIdentity {
	if p == nil || p.EffectiveIdentityOwner() != v1alpha1.IdentityOwnerWorkload {
		return p
	}
	v.asked = append(v.asked, "its service account")
	without := *p
	without.IdentityOwner = nil
	return &without
}
