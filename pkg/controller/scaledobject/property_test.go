package scaledobject_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/engine"
)

// chance is a world in which anything may happen, and what is known of it from
// outside.
type chance struct {
	*world

	random  *rand.Rand
	log     []string
	failing map[string]bool // the triggers whose last attempt failed
	busy    map[string]bool // ... whose last good reading had work
	active  time.Time       // when there last was work
	edits   int             // changes of the spec
	writes  int             // of the HPA
	things  []string
	formula bool // there is work only while all triggers can be read
}

func (c *chance) does(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

// happens lets one thing happen.
func (c *chance) happens() {
	c.T.Helper()
	name := c.things[c.random.IntN(len(c.things))]
	switch c.random.IntN(12) {
	case 0, 1:
		c.reading(name, 0)
	case 2:
		c.reading(name, float64(1+c.random.IntN(9)))
	case 3:
		c.does("%s fails", name)
		c.breaks(name, errors.New("down"))
		c.failing[name] = true
	case 4, 5:
		after := time.Duration(1+c.random.IntN(200)) * time.Second
		c.does("%s pass", after)
		c.now = c.now.Add(after)
	case 6:
		n := int32(c.random.IntN(4))
		c.does("somebody scales to %d", n)
		c.scale("Deployment", "web", n)
	case 7:
		n := int32(10 + c.random.IntN(90))
		if so := c.object("a"); so.Spec.MaxReplicas() != n {
			c.does("the maximum becomes %d", n)
			c.world.edits("a", func(so *v1alpha1.ScaledObject) { so.Spec.MaxReplicaCount = &n })
			c.edits++
		}
	case 8:
		c.does("weir restarts")
		c.restart()
	case 9:
		c.does("a reference changes")
		c.r.OnReference([]string{"scaledobject/ns/a"})
	case 10:
		p := c.random.Float64() / 2
		c.does("calls fail, %.0f %%", 100*p)
		c.Fail = func(string) error {
			if c.random.Float64() < p {
				return errors.New("boom")
			}
			return nil
		}
	default:
		c.does("calls succeed")
		c.Fail = nil
	}
}

func (c *chance) reading(name string, v float64) {
	c.does("%s reads %v", name, v)
	c.reads(map[string]float64{name: v})
	c.failing[name], c.busy[name] = false, v > 0
}

// stale reports whether a trigger has no reading that counts.
func (c *chance) stale(name string) bool {
	s := c.engine.Samples[c.query(name, "")]
	return c.failing[name] || !s.OK || c.now.Sub(s.Measured) > 90*time.Second
}

// settle reconciles as the controller does, and checks what was done.
func (c *chance) settle() {
	c.T.Helper()
	before, _, err := c.workload(c.T.Context(), "Deployment", "web")
	if err != nil {
		c.T.Fatal(err)
	}
	c.r.OnReadings([]engine.Owner{"scaledobject/ns/a"})
	for range 1 + c.random.IntN(2) {
		if _, err := c.r.Reconcile(c.T.Context(), request("a")); err != nil && c.Fail == nil {
			c.T.Fatalf("reconciling: %v", err)
		}
	}
	after, _, err := c.workload(c.T.Context(), "Deployment", "web")
	if err != nil {
		c.T.Fatal(err)
	}
	known, work := true, false
	for _, n := range c.things {
		known = known && !c.stale(n)
		work = work || !c.stale(n) && c.busy[n]
	}
	work = work && (known || !c.formula)
	for _, w := range c.Writes {
		if strings.HasPrefix(w, "apply Horizontal") || strings.HasPrefix(w, "patch Horizontal") {
			c.writes++
		}
	}
	c.Forgets()
	switch {
	case after < before && !known:
		c.T.Errorf("%d replicas became %d although a trigger cannot be read", before, after)
	case after < before && work:
		c.T.Errorf("%d replicas became %d although there is work", before, after)
	case after < before && c.now.Sub(c.active) < 300*time.Second:
		c.T.Errorf("%d replicas became %d %s after there was work", before, after, c.now.Sub(c.active))
	case after == 0 && work && c.Fail == nil:
		c.T.Error("there is work, but no replica")
	case c.writes > 1+c.edits:
		c.T.Errorf("%d writes of the HPA after %d changes of the spec", c.writes, c.edits)
	}
	if work && c.Fail == nil {
		c.active = c.now
	}
}

func TestWhateverHappens(t *testing.T) {
	t.Parallel()
	for kind, changes := range map[string][]func(*v1alpha1.ScaledObject){
		"plain":                        {triggers("jobs", "more")},
		"with a fallback":              {triggers("jobs", "more"), falling(1, 3, "")},
		"with a fallback to nothing":   {triggers("jobs", "more"), falling(0, 0, "static")},
		"with a fallback to the lower": {triggers("jobs", "more"), falling(2, 2, "currentReplicasIfLower")},
		"with a formula":               {computing("a + b")},
		"with both":                    {computing("(a ?? 1) + (b ?? 1)"), falling(1, 3, "scalingModifiers")},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s %d", kind, seed), func(t *testing.T) {
				t.Parallel()
				c := &chance{
					world: newWorld(t, deployment("web", 1), scaledObject("a", changes...)), random: rand.New(rand.NewPCG(seed, 0)),
					failing: map[string]bool{}, busy: map[string]bool{}, things: []string{"jobs", "more"}, formula: strings.Contains(kind, "formula") || kind == "with both",
				}
				for range 120 {
					c.happens()
					c.settle()
					if t.Failed() {
						t.Fatalf("%s, seed %d:\n\t%s", kind, seed, strings.Join(c.log, "\n\t"))
					}
				}
			})
		}
	}
}
