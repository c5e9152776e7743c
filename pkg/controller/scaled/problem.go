package scaled

import (
	"errors"
	"fmt"
	"strings"

	"github.com/weir-sh/weir/pkg/triggers"
)

// ProblemError says that an object, or something it refers to, is wrong: a user
// must act, and trying again at once does not help.
type ProblemError struct{ Message string }

// Error implements error.
func (e *ProblemError) Error() string { return e.Message }

// Problem makes a ProblemError.
func Problem(format string, args ...any) error {
	return &ProblemError{fmt.Sprintf(format, args...)}
}

// Problems makes one ProblemError of many; nil of none.
func Problems(list []triggers.Problem) error {
	if len(list) == 0 {
		return nil
	}
	return &ProblemError{Text(list)}
}

// Text is a list of problems or warnings as one line.
func Text(list []triggers.Problem) string {
	lines := make([]string, len(list))
	for i, p := range list {
		lines[i] = p.String()
	}
	return strings.Join(lines, "; ")
}

// AsProblem returns the ProblemError in err, or nil.
func AsProblem(err error) *ProblemError {
	wrong, _ := errors.AsType[*ProblemError](err)
	return wrong
}

// Collect adds a ProblemError to the list, so that a user sees every problem at
// once; any other error is returned.
func Collect(list []triggers.Problem, err error) ([]triggers.Problem, error) {
	wrong := AsProblem(err)
	if wrong == nil {
		return list, err
	}
	return append(list, triggers.Problem{Trigger: -1, Message: wrong.Message}), nil
}
