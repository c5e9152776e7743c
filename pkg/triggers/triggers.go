// Package triggers turns the triggers of an object into values that can be
// measured: it finds the scaler of each, parses its parameters and checks what
// concerns the list as a whole. Controller, admission and command line use the
// same functions, so that they agree about what is right.
//
// The package does no I/O: credentials come in resolved.
package triggers

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Trigger is one trigger of an object, ready to be measured.
type Trigger struct {
	scalers.Trigger
	Index      int    // place in the object, from zero
	Name       string // as the user named it; may be empty
	Type       string
	MetricName string // in the HPA
	// MetricType is how the HPA compares value and target: AverageValue or
	// Value. Other values are passed on for the API server to judge.
	MetricType autoscalingv2.MetricTargetType
	// Cached says that HPA reads are answered with the last poll.
	Cached bool
	// Resource is what the HPA reads itself; nil for what is measured.
	Resource *Resource
}

// Resource is a metric of the workload's pods, such as CPU, as the HPA gets it.
type Resource struct {
	Name      corev1.ResourceName
	Container string // empty means all containers of the pod
	Target    autoscalingv2.MetricTarget
}

// Problem is something wrong, or doubtful, at one field of an object.
type Problem struct {
	Trigger int    // index of the trigger it is about, or -1
	Field   string // path from the object's root, such as "spec.triggers[0].metadata.listName"
	Message string // never holds a value
	Reason  Reason // the rule that is broken; empty in warnings and where no rule is
}

// String returns field and message: `spec.triggers[0].metadata.listName: is required`.
func (p Problem) String() string {
	if p.Field == "" {
		return p.Message
	}
	return p.Field + ": " + p.Message
}

// Input is one trigger with its credentials.
type Input struct {
	Spec   v1alpha1.Trigger
	Values param.Values
	// Unknown says which of Values have not been looked up.
	Unknown Unknown
	// Err says what could not be resolved, which makes environment and
	// authentication unknown. The rest is checked all the same.
	Err error
}

// Result is what a list of triggers comes to.
type Result struct {
	// Triggers are those without a problem whose values suffice to measure, in order.
	Triggers []Trigger
	// Problems make the object unusable; Warnings do not. Both are in the order
	// of the triggers.
	Problems, Warnings []Problem
}

// Parse checks a list of triggers. Every problem is reported.
func Parse(registry *scalers.Registry, inputs []Input) Result {
	var out Result
	if len(inputs) == 0 {
		out.Problems = append(out.Problems, broken(ReasonTriggers, "spec.triggers", "must have at least one trigger"))
	}
	names := map[string]int{}
	for i, in := range inputs {
		out.trigger(registry, i, in, names)
	}
	return out
}

// trigger parses one trigger. Names holds those of the triggers before it.
func (r *Result) trigger(registry *scalers.Registry, i int, in Input, names map[string]int) {
	field := fmt.Sprintf("spec.triggers[%d]", i)
	before := len(r.Problems)
	r.envelope(i, field, in)
	r.name(i, field, in.Spec.Name, names)
	def, err := registry.Find(in.Spec.Type)
	if err != nil {
		r.problem(i, field+".type", err.Error())
		return
	}
	r.metricType(i, field, in, def)
	unknown := in.Unknown
	if in.Err != nil {
		unknown = Unknown{Env: true, Auth: true}
	}
	parsed, complete, wrong, doubts := unknown.parse(def, in.Values)
	for _, e := range wrong {
		r.problem(i, metadataField(field, e.Param), e.Reason)
	}
	for _, w := range doubts {
		r.Warnings = append(r.Warnings, Problem{Trigger: i, Field: metadataField(field, w.Param), Message: w.Reason})
	}
	if len(r.Problems) > before || !complete {
		return
	}
	if !def.ReadByHPA && !def.NamesMetrics && !in.Values.FormulaOnly && parsed.Target <= 0 {
		r.Warnings = append(r.Warnings, Problem{Trigger: i, Field: field, Message: "the target is zero or less, so that any work asks for maxReplicaCount; set a positive target"})
	}
	t := Trigger{
		Trigger: parsed, Index: i, Name: in.Spec.Name, Type: in.Spec.Type,
		MetricName: parsed.MetricName(i), MetricType: in.Spec.MetricType, Cached: in.Spec.UseCachedMetrics,
	}
	if err := t.complete(); err != nil {
		r.problem(i, field+".metadata", err.Error())
		return
	}
	r.Triggers = append(r.Triggers, t)
}

// metricType refuses what the scaler's metric cannot be compared by.
func (r *Result) metricType(i int, field string, in Input, def *scalers.Definition) {
	if in.Spec.MetricType == autoscalingv2.UtilizationMetricType && !def.ReadByHPA {
		r.problem(i, field+".metricType", "Utilization is for cpu and memory triggers; use AverageValue or Value")
	}
}

// complete fills in the default of the metric type, and what the HPA reads itself.
func (t *Trigger) complete() error {
	if t.MetricType == "" {
		t.MetricType = autoscalingv2.AverageValueMetricType
	}
	read, ok := t.Trigger.Resource()
	if !ok {
		return nil
	}
	target, err := resourceTarget(t.MetricType, read.Target)
	if err != nil {
		return err
	}
	t.MetricName, t.Resource = read.Name, &Resource{corev1.ResourceName(read.Name), read.Container, target}
	return nil
}

// resourceTarget makes the target of a metric that the HPA reads itself.
func resourceTarget(as autoscalingv2.MetricTargetType, value string) (autoscalingv2.MetricTarget, error) {
	if as == autoscalingv2.UtilizationMetricType {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return autoscalingv2.MetricTarget{}, errors.New("the target is no whole percentage")
		}
		return autoscalingv2.MetricTarget{Type: as, AverageUtilization: new(int32(n))}, nil
	}
	q, err := resource.ParseQuantity(value)
	if err != nil {
		return autoscalingv2.MetricTarget{}, errors.New("the target is no quantity")
	}
	return autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &q}, nil
}

// envelope checks what does not depend on the scaler.
func (r *Result) envelope(i int, field string, in Input) {
	if in.Err != nil {
		for line := range strings.SplitSeq(in.Err.Error(), "\n") {
			at := field
			if in.Spec.AuthenticationRef != nil {
				at += ".authenticationRef"
			}
			r.problem(i, at, line)
		}
	}
}

// name refuses a name that an earlier trigger has.
func (r *Result) name(i int, field, name string, names map[string]int) {
	if name == "" {
		return
	}
	if j, taken := names[name]; taken {
		r.problem(i, field+".name", fmt.Sprintf("is also the name of trigger %d; names must be unique within the object", j))
		return
	}
	names[name] = i
}

func (r *Result) problem(i int, field, message string) {
	r.Problems = append(r.Problems, Problem{Trigger: i, Field: field, Message: message, Reason: ReasonTriggers})
}

// metadataField is the path of a trigger parameter.
func metadataField(field, parameter string) string {
	if parameter == "" {
		return field
	}
	return field + ".metadata." + parameter
}

// Types returns the distinct trigger types in order of first use, joined with
// commas.
func Types(specs []v1alpha1.Trigger) string {
	return distinct(specs, func(t v1alpha1.Trigger) string { return t.Type })
}

// Authentications returns the distinct names of authentication objects in order
// of first use, joined with commas.
func Authentications(specs []v1alpha1.Trigger) string {
	return distinct(specs, func(t v1alpha1.Trigger) string {
		if t.AuthenticationRef == nil {
			return ""
		}
		return t.AuthenticationRef.Name
	})
}

func distinct(specs []v1alpha1.Trigger, of func(v1alpha1.Trigger) string) string {
	var out []string
	for _, t := range specs {
		if s := of(t); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, ",")
}

// Quantity renders a target as the HPA gets it: rounded to three decimals, in
// canonical form, and within what a quantity holds exactly, which is 9e15 either
// way. NaN becomes zero.
func Quantity(target float64) resource.Quantity {
	const most = 9e15
	if math.IsNaN(target) {
		target = 0
	}
	// Whole part and fraction go separate ways, since their product with 1000
	// is not exact for large values.
	whole, fraction := math.Modf(min(max(target, -most), most))
	milli := int64(whole)*1000 + int64(math.Round(fraction*1000))
	return *resource.NewMilliQuantity(milli, resource.DecimalSI)
}
