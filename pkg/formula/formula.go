// Package formula evaluates the formulas of scalingModifiers: expressions in the
// language of expr-lang.org over the values of an object's triggers.
//
// A formula is a pure function from numbers to a number. Only the part of the
// language that computes with numbers and lists of them is there: no text, no
// dates, no JSON. Work and memory of one evaluation are bounded, since whoever may
// write a ScaledObject writes code that runs in weir.
package formula

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// What one formula may ask for. Formulas combine a handful of values, which takes a
// microsecond; these are far above what makes sense, and keep the worst evaluation
// below a tenth of a second.
const (
	maxText     = 10_000 // bytes of text; parentheses are no parts, and nest
	maxNodes    = 1000   // parts of the expression
	maxElements = 1000   // of all lists made during one evaluation
	maxSteps    = 10_000 // parts evaluated in loops over lists
)

// Formula is a formula that can be evaluated. It is immutable and safe for
// concurrent use.
type Formula struct {
	text     string
	names    []string
	mayBeNil bool
	program  *vm.Program
}

// Compile checks a formula and makes it ready. Names are the variables: the names
// of the triggers that are measured. The formula is tried with made-up values, so
// that what can never give a number is refused here. Errors are one line each and
// name the place as (line:column).
func Compile(text string, names []string) (*Formula, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("compiling the formula: it has more than %d characters; shorten it", maxText)
	}
	f := &Formula{text: text, names: slices.Clone(names), mayBeNil: strings.Contains(text, "??")}
	program, err := compile(text, names, expr.AsFloat64())
	if err == nil && f.mayBeNil {
		// The cast to a number would not let nil through.
		program, err = compile(text, names, expr.AsAny())
	}
	if err != nil {
		return nil, fmt.Errorf("compiling the formula: %w", oneLine(err))
	}
	f.program = program
	if err := f.try(); err != nil {
		return nil, err
	}
	return f, nil
}

// String returns the text of the formula.
func (f *Formula) String() string { return f.text }

// Eval returns the result for these values. A variable without a value is nil to
// the formula, which must provide for that with "??". The result is finite and at
// least 0: less counts as 0. It is nil only for a formula with "??" that says so.
// The error is one line; it is there also for NaN, for infinities, as after a
// division by zero, and for formulas that take too long.
func (f *Formula) Eval(values map[string]float64) (value float64, isNil bool, err error) {
	value, isNil, err = f.run(values)
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("evaluating the formula%s: %w", f.without(values), err)
	case math.IsNaN(value) || math.IsInf(value, 0):
		return 0, false, fmt.Errorf("evaluating the formula: the result is %v, as after a division by zero; make the formula provide for that", value)
	}
	return max(value, 0), isNil, nil // max turns minus zero into zero
}

// without names the variables that have no value.
func (f *Formula) without(values map[string]float64) string {
	var nils []string
	for _, name := range f.names {
		if _, ok := values[name]; !ok {
			nils = append(nils, name)
		}
	}
	if nils == nil {
		return ""
	}
	return " without a value of " + strings.Join(nils, ", ")
}

// try runs the formula with made-up values. A formula that works for any of them
// is good: what divides by zero or misses an element of a list for some values
// need not do so for those that occur.
func (f *Formula) try() error {
	var first error
	for _, v := range []float64{-1, 1, 0, 2, 7, 100} {
		values := make(map[string]float64, len(f.names))
		for _, name := range f.names {
			values[name] = v
		}
		_, _, err := f.run(values)
		if err == nil {
			return nil
		}
		if first == nil {
			first = fmt.Errorf("trying the formula with all values at %v: %w", v, err)
		}
	}
	return first
}

// run evaluates the formula; the result may be any float.
func (f *Formula) run(values map[string]float64) (value float64, isNil bool, err error) {
	env := make(map[string]any, len(f.names)+1)
	for _, name := range f.names {
		env[name] = nil
		if v, ok := values[name]; ok {
			env[name] = v
		}
	}
	steps := maxSteps
	env[stepsLeft] = &steps
	machine := vm.VM{MemoryBudget: maxElements}
	result, err := machine.Run(f.program, env)
	if err != nil {
		return 0, false, oneLine(err)
	}
	if result == nil && f.mayBeNil {
		return 0, true, nil
	}
	value, err = number(result)
	return value, false, err
}

// number is a result as a float.
func number(result any) (float64, error) {
	switch v := result.(type) {
	case float64:
		return v, nil
	case int:
		return float64(v), nil
	case nil:
		return 0, errors.New("the result is nil, not a number")
	}
	return 0, fmt.Errorf("the result is a %T, not a number", result)
}

// compile compiles text with everything that bounds it.
func compile(text string, names []string, result expr.Option) (*vm.Program, error) {
	env := make(map[string]any, len(names)+1)
	for _, name := range names {
		env[name] = 0.0
	}
	env[stepsLeft] = new(int)
	guard := new(guard)
	options := []expr.Option{
		expr.Env(env), result, expr.MaxNodes(maxNodes), expr.Optimize(false), expr.DisableAllBuiltins(),
		expr.Patch(guard), expr.Function(step, takeSteps, new(func(*int, int) bool)),
	}
	for _, name := range functions() {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(text, options...)
	if err == nil && guard.text {
		err = errors.New("text in quotes is of no use: a formula computes with numbers")
	}
	return program, err
}

// functions are those of the language that compute with numbers and lists.
func functions() []string {
	return []string{
		"abs", "ceil", "floor", "round", "int", "float", "max", "min", "sum", "mean", "median",
		"all", "any", "none", "one", "count", "filter", "find", "findIndex", "findLast", "findLastIndex",
		"map", "reduce", "sort", "sortBy", "reverse", "concat", "flatten", "take", "first", "last", "len",
		"bitand", "bitor", "bitxor", "bitnand", "bitnot", "bitshl", "bitshr", "bitushr",
	}
}

// Names that no formula can say, as they hold a space.
const (
	step      = "take steps"
	stepsLeft = "steps left"
)

// guard makes what is evaluated once per element of a list count its steps, and
// notes text.
type guard struct{ text bool }

// Visit implements ast.Visitor.
func (g *guard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.StringNode:
		g.text = true
	case *ast.PredicateNode:
		parts := new(parts)
		ast.Walk(&n.Node, parts)
		count := &ast.CallNode{
			Callee:    &ast.IdentifierNode{Value: step},
			Arguments: []ast.Node{&ast.IdentifierNode{Value: stepsLeft}, &ast.IntegerNode{Value: int(*parts)}},
		}
		n.Node = &ast.SequenceNode{Nodes: []ast.Node{count, n.Node}}
	}
}

// parts counts the parts of an expression.
type parts int

// Visit implements ast.Visitor.
func (p *parts) Visit(*ast.Node) { *p++ }

// takeSteps is the function that guard puts in.
func takeSteps(args ...any) (any, error) {
	left, ok := args[0].(*int)
	n, whole := args[1].(int)
	if !ok || !whole {
		return nil, errors.New("steps cannot be counted")
	}
	if *left -= n; *left < 0 {
		return nil, fmt.Errorf("it takes more than %d steps; loop over fewer elements", maxSteps)
	}
	return true, nil
}

// oneLine is an error of the language without the excerpt of the formula.
func oneLine(err error) error {
	said, ok := errors.AsType[*file.Error](err)
	if !ok {
		return err
	}
	message := strings.Join(strings.Fields(said.Message), " ")
	if said.Line == 0 {
		return errors.New(message)
	}
	return fmt.Errorf("%s (%d:%d)", message, said.Line, said.Column+1)
}
