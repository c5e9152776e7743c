package scaled

import (
	"slices"
	"sync"

	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// keptDecisions is how many decisions are remembered per object.
const keptDecisions = 100

// Decisions are the newest 100 decisions about an object. The zero value holds none;
// it is safe for concurrent use.
type Decisions struct {
	mu   sync.Mutex // guards list
	list []snapshot.Decision
}

// Add remembers a decision. One to hold that says the same as the one before
// replaces it.
func (l *Decisions) Add(d snapshot.Decision) {
	const hold = string(decide.Hold) // as decide/jobs has it, too
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.list)
	switch {
	case n > 0 && l.list[n-1].Action == hold && d.Action == hold && l.list[n-1].Reason == d.Reason:
		l.list[n-1] = d
		return
	case n == keptDecisions:
		l.list = slices.Delete(l.list, 0, 1)
	}
	l.list = append(l.list, d)
}

// All returns the decisions, oldest first; never nil.
func (l *Decisions) All() []snapshot.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]snapshot.Decision{}, l.list...)
}

// Inputs are the triggers of a decision as others see them.
func Inputs(list []decide.Trigger) []snapshot.Input {
	out := make([]snapshot.Input, len(list))
	for i, t := range list {
		out[i] = snapshot.Input{
			Metric: t.Name, Type: t.Type, State: t.State.String(), Value: t.Value, Target: t.Target, Activation: t.Activation,
			Age: snapshot.Of(t.Age), Err: t.Err, Fallback: t.FallbackActive,
		}
	}
	return out
}
