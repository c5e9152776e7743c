package triggers_test

import (
	"testing"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/triggers"
)

func TestCheckModifiers(t *testing.T) {
	t.Parallel()
	const at = "spec.advanced.scalingModifiers."
	const target = at + `target: must be a number above zero such as "5" or "0.25"`
	for _, tc := range []struct {
		name      string
		modifiers v1alpha1.ScalingModifiers
		behavior  v1alpha1.FallbackBehavior
		want      string
	}{
		{"none", v1alpha1.ScalingModifiers{}, "", ""},
		{"a formula", v1alpha1.ScalingModifiers{Formula: "a + b", Target: "2.5", ActivationTarget: "-1", MetricType: "Value"}, "", ""},
		{"a formula that provides for failures", v1alpha1.ScalingModifiers{Formula: "a ?? b", Target: "1"}, v1alpha1.FallbackScalingModifiers, ""},
		{"nothing but a target", v1alpha1.ScalingModifiers{Target: "1"}, "", at + "formula: is required where anything of scalingModifiers is set"},
		{"nothing but a formula", v1alpha1.ScalingModifiers{Formula: "a"}, "", at + "target: is required where anything of scalingModifiers is set"},
		{"a target of zero", v1alpha1.ScalingModifiers{Formula: "a", Target: "0"}, "", target},
		{"a target below zero", v1alpha1.ScalingModifiers{Formula: "a", Target: "-1"}, "", target},
		{"a target that is no number", v1alpha1.ScalingModifiers{Formula: "a", Target: "NaN"}, "", target},
		{
			"an activation target that is no number",
			v1alpha1.ScalingModifiers{Formula: "a", Target: "1", ActivationTarget: "five"},
			"",
			at + `activationTarget: must be a number such as "5" or "0.25"`,
		},
		{"Utilization", v1alpha1.ScalingModifiers{Formula: "a", Target: "1", MetricType: "Utilization"}, "", at + "metricType: must be AverageValue or Value"},
		{
			"a fallback to no formula",
			v1alpha1.ScalingModifiers{},
			v1alpha1.FallbackScalingModifiers,
			"spec.fallback.behavior: scalingModifiers needs advanced.scalingModifiers.formula; add one, or choose another behavior",
		},
		{
			"everything at once",
			v1alpha1.ScalingModifiers{Target: "x", ActivationTarget: "x", MetricType: "x"},
			v1alpha1.FallbackScalingModifiers,
			at + "formula: is required where anything of scalingModifiers is set\n" + target + "\n" +
				at + "activationTarget: must be a number such as \"5\" or \"0.25\"\n" + at + "metricType: must be AverageValue or Value\n" +
				"spec.fallback.behavior: scalingModifiers needs advanced.scalingModifiers.formula; add one, or choose another behavior",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			problems, _ := triggers.CheckScaledObject(scaledObject(func(o *v1alpha1.ScaledObject) {
				o.Spec.Triggers = []v1alpha1.Trigger{{Type: "redis", Name: "a"}, {Type: "redis", Name: "b"}, {Type: "redis"}, {Type: "cpu", Name: "c"}}
				o.Spec.Advanced = &v1alpha1.AdvancedConfig{ScalingModifiers: tc.modifiers}
				if tc.behavior != "" {
					o.Spec.Fallback = &v1alpha1.Fallback{Behavior: tc.behavior}
				}
			}))
			if got := lines(t, problems); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// TestAFormulaThatDoesNotCompileIsToldInTheWordsOfItsLanguage: the sentence is
// the one of package formula.
func TestAFormulaThatDoesNotCompileIsToldInTheWordsOfItsLanguage(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a +", "c * 2", "nobody", "a > 2", `"text"`} {
		problems, _ := triggers.CheckScaledObject(scaledObject(func(o *v1alpha1.ScaledObject) {
			o.Spec.Triggers = []v1alpha1.Trigger{{Type: "redis", Name: "a"}, {Type: "cpu", Name: "c"}}
			o.Spec.Advanced = &v1alpha1.AdvancedConfig{ScalingModifiers: v1alpha1.ScalingModifiers{Formula: text, Target: "1"}}
		}))
		if len(problems) != 1 || problems[0].Reason != triggers.ReasonModifiers || problems[0].Field != "spec.advanced.scalingModifiers.formula" {
			t.Errorf("%q: %v", text, problems)
		}
	}
}
