package triggers

import (
	"math"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/formula"
)

// FormulaNames returns the variables that a formula over triggers may use: the
// names of those that are measured, in order. Triggers without a name have none.
func FormulaNames(list []v1alpha1.Trigger) []string {
	var names []string
	for _, t := range list {
		if t.Name != "" && !readByHPA(t) {
			names = append(names, t.Name)
		}
	}
	return names
}

const fieldModifiers = "spec.advanced.scalingModifiers."

// checkModifiers looks at the formula and its numbers.
func checkModifiers(o *v1alpha1.ScaledObject) (out []Problem) {
	m := o.Spec.Modifiers()
	if m.InUse() {
		out = append(checkFormula(m.Formula, o.Spec.Triggers), checkNumbers(m)...)
	}
	if f := o.Spec.Fallback; f != nil && f.EffectiveBehavior() == v1alpha1.FallbackScalingModifiers && m.Formula == "" {
		out = append(out, broken(ReasonModifiersFallback, "spec.fallback.behavior",
			"scalingModifiers needs advanced.scalingModifiers.formula; add one, or choose another behavior"))
	}
	return out
}

const requiredWithAny = "is required where anything of scalingModifiers is set"

func checkFormula(text string, list []v1alpha1.Trigger) []Problem {
	const field = fieldModifiers + "formula"
	if strings.TrimSpace(text) == "" {
		return []Problem{broken(ReasonModifiers, field, requiredWithAny)}
	}
	if _, err := formula.Compile(text, FormulaNames(list)); err != nil {
		return []Problem{broken(ReasonModifiers, field, err.Error())}
	}
	return nil
}

func checkNumbers(m v1alpha1.ScalingModifiers) (out []Problem) {
	switch target, ok := number(m.Target); {
	case m.Target == "":
		out = append(out, broken(ReasonModifiers, fieldModifiers+"target", requiredWithAny))
	case !ok || target <= 0:
		out = append(out, broken(ReasonModifiers, fieldModifiers+"target", `must be a number above zero such as "5" or "0.25"`))
	}
	if _, ok := number(m.ActivationTarget); m.ActivationTarget != "" && !ok {
		out = append(out, broken(ReasonModifiers, fieldModifiers+"activationTarget", `must be a number such as "5" or "0.25"`))
	}
	if t := m.EffectiveMetricType(); t != autoscalingv2.AverageValueMetricType && t != autoscalingv2.ValueMetricType {
		out = append(out, broken(ReasonModifiers, fieldModifiers+"metricType", "must be AverageValue or Value"))
	}
	return out
}

// number parses a finite number.
func number(text string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}
