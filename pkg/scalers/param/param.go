// Package param binds trigger parameters to typed fields.
//
// It works like package flag: one call names a parameter, points at the field
// that receives it and documents it. The value already in the field is the
// default. The same calls, run against a throw-away struct, describe the
// parameters for the reference pages, the JSON schema and the CLI, so that a
// description cannot drift from the parser. Because they run twice, the calls
// must be unconditional: which parameters are bound never depends on a value.
//
// A parameter may come from the trigger's metadata, from the environment of the
// workload (metadata "<name>FromEnv" names the variable) or from an
// authentication object. Which of these, and in what order, is data on the
// parameter. Everywhere a value is trimmed first, and an empty value counts as
// absent.
//
// Errors and warnings name parameters and never show their values: a value may
// be a secret, or may have been put in the wrong field by mistake.
package param

import "fmt"

// Values are the raw strings of one trigger, by the place they come from. The
// maps are only read; a nil map is an empty one.
type Values struct {
	// Metadata is the trigger's metadata; whoever can read the object sees it.
	Metadata map[string]string
	// Env is the resolved environment of the workload's container.
	Env map[string]string
	// Auth holds what the authentication object resolved to. Never printed.
	Auth map[string]string
	// Identity is the pod identity of the authentication object.
	Identity Identity
	// FormulaOnly says that the trigger only feeds a formula, so that its own
	// target may be left out.
	FormulaOnly bool
	// Namespace and Name are those of the object that holds the trigger.
	Namespace, Name string
	// MetricType is how the HPA compares value and target, as the trigger says
	// it: "", "AverageValue", "Value" or "Utilization".
	MetricType string
}

// Scope returns the namespace that a source belongs to which connects as the
// process itself; empty means all. Settings of such a source must hold it, or a
// tenant could measure with what was granted for another.
func (v Values) Scope() string {
	if v.Identity.Shared {
		return ""
	}
	return v.Namespace
}

// Identity says as whom a cloud source connects when no static credentials are
// given. The zero value is no identity.
type Identity struct {
	Provider      string // "", "none", "aws", "aws-eks", "azure-workload" or "gcp"
	ID            string // azure-workload: client id that replaces the default
	TenantID      string // azure-workload: tenant that replaces the default
	AuthorityHost string // azure-workload: authority of that tenant
	RoleARN       string // aws: role to assume
	ExternalID    string // aws: external id for that role
	Owner         string // aws: "keda" or "workload"
	Shared        bool   // any namespace may connect as this identity
}

// Place is where a parameter's value may be found.
type Place uint8

// The places.
const (
	Metadata Place = iota // the trigger's metadata
	Env                   // the environment variable that metadata "<name>FromEnv" names
	Auth                  // the authentication object
)

// String names the place as it is written in messages and reference pages.
func (p Place) String() string {
	switch p {
	case Env:
		return "environment"
	case Auth:
		return "authentication"
	case Metadata:
		return "metadata"
	}
	return fmt.Sprintf("Place(%d)", uint8(p))
}

// Kind is the syntax of a parameter's value.
type Kind string

// The kinds.
const (
	KindString   Kind = "string"
	KindInteger  Kind = "integer"
	KindNumber   Kind = "number"
	KindBoolean  Kind = "boolean"
	KindDuration Kind = "duration"
	KindList     Kind = "list"
	KindURL      Kind = "url"
	KindSecret   Kind = "secret"
)

// Info describes one parameter. Reference pages, schema and CLI are printed
// from it.
type Info struct {
	Name       string
	Doc        string   // one or more sentences
	Kind       Kind     //
	Default    string   // as a user would write it; empty when there is none
	Required   bool     //
	OneOf      []string // allowed values; empty means any
	From       []Place  // in the order they are tried
	Aliases    []string // other names, tried after Name within each place
	Deprecated string   // what to do instead; empty means not deprecated
	Secret     bool     // the value must never be shown
}

// Error says which parameter is wrong and what to do about it. It never holds
// the offending value.
type Error struct {
	Param  string // as the user wrote it, or would write it; may be empty
	Reason string // continues the sentence that begins with the name
}

// Error implements error.
func (e *Error) Error() string {
	if e.Param == "" {
		return e.Reason
	}
	return fmt.Sprintf("parameter %q %s", e.Param, e.Reason)
}

// Wrong makes an Error for rules across parameters.
func Wrong(name, format string, args ...any) error {
	return &Error{Param: name, Reason: fmt.Sprintf(format, args...)}
}

// Warning is something that works but is probably not what the user meant. Like
// Error it never holds a value.
type Warning Error

// String returns the warning as a sentence without a full stop.
func (w Warning) String() string { return (*Error)(&w).Error() }
