package decide

import (
	"fmt"

	"github.com/weir-sh/weir/pkg/formula"
)

// Modifiers is a formula over the triggers of an object, and what its result is
// compared with. It is read only.
type Modifiers struct {
	Name       string // of the metric that carries the result
	Formula    *formula.Formula
	Target     float64 // work per replica, in the unit of the result
	Activation float64 // there is work above it
	// Nil says that the formula sees nil for a trigger that a fallback stands in
	// for. Otherwise the fallback then stands in for the result.
	Nil bool
}

// Result is the result of the formula as a trigger that follows those it is made
// of. Variables are the formula's names for the triggers, in their order; empty
// where it has none. Where a trigger fails or has not been measured there is no
// result, and the trigger says why. Where FallbackActive is set, it is for the
// caller to fill in the value.
func (m *Modifiers) Result(triggers []Trigger, variables []string) Trigger {
	out := Trigger{Name: m.Name, Formula: true, Target: m.Target, Activation: m.Activation}
	values := make(map[string]float64, len(triggers))
	standIn, complete := "", true
	for i, t := range triggers {
		switch {
		case t.Resource:
			continue
		case t.FallbackActive:
			if standIn == "" {
				standIn = t.Name + ": " + t.Err
			}
			continue
		case t.Err != "" || t.State == Unknown:
			complete = false
			continue
		}
		out.Age = max(out.Age, t.Age)
		if variables[i] != "" {
			values[variables[i]] = t.Value
		}
	}
	switch {
	case standIn != "" && !m.Nil:
		out.FallbackActive, out.Err = true, standIn
	case complete:
		m.compute(&out, values, standIn)
	}
	return out
}

// compute evaluates the formula. A result of nil is for the fallback to fill in, if
// there is one.
func (m *Modifiers) compute(out *Trigger, values map[string]float64, standIn string) {
	value, isNil, err := m.Formula.Eval(values)
	switch {
	case err != nil:
		out.Err = err.Error()
	case isNil && standIn == "":
		out.Err = "evaluating the formula: the result is nil although every trigger has a value"
	case isNil:
		out.FallbackActive, out.Err = true, fmt.Sprintf("the result is nil: %s", standIn)
	case value > m.Activation:
		out.State, out.Value = Busy, value
	default:
		out.State, out.Value = Idle, value
	}
}
