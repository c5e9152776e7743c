package scalers

import (
	"fmt"
	"slices"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Registry is the set of scaler types a program knows. It is immutable.
type Registry struct {
	byType map[string]*Definition
	types  []string // sorted
}

// NewRegistry makes a Registry of defs. The error names types that occur twice.
func NewRegistry(defs ...*Definition) (*Registry, error) {
	r := &Registry{byType: make(map[string]*Definition, len(defs))}
	for _, d := range defs {
		if r.byType[d.Type] != nil {
			return nil, fmt.Errorf("building the registry: scaler type %q is defined twice", d.Type)
		}
		r.byType[d.Type] = d
		r.types = append(r.types, d.Type)
	}
	slices.Sort(r.types)
	return r, nil
}

// Types returns the types, sorted.
func (r *Registry) Types() []string { return slices.Clone(r.types) }

// Find returns the definition of a type. The error says what to write instead.
func (r *Registry) Find(typ string) (*Definition, error) {
	if d := r.byType[typ]; d != nil {
		return d, nil
	}
	if slices.Contains(later(), typ) {
		return nil, fmt.Errorf("trigger type %q is not supported by this version; measure it with type external, prometheus or metrics-api until it is", typ)
	}
	if near := param.Closest(typ, r.types); near != "" {
		return nil, fmt.Errorf("trigger type %q is not known; did you mean %q?", typ, near)
	}
	return nil, fmt.Errorf("trigger type %q is not known; weir scalers lists those that are", typ)
}
