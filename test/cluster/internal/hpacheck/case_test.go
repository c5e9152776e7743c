// Package hpacheck holds the records by which pkg/hpa is checked to the real HPA
// controller, the one that the test cluster runs: for each generated case a series
// of syncs with what the controller saw and what it did. This package runs the
// controller on the records, under a clock of its own, and finds whether it still
// does the same; pkg/hpa's tests find whether pkg/hpa does. To generate them anew:
//
//	go test ./internal/hpacheck -update
package hpacheck

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// records is in the other module, next to what it checks.
const records = "../../../../pkg/hpa/testdata/controller.jsonl"

// record is one case: an HPA over a series of syncs. Times are in seconds from its
// first sync, quantities in thousandths.
type record struct {
	Name      string     `json:"name"`
	Period    int        `json:"period"`         // between syncs, unless the spec changes
	Flags     flags      `json:"flags"`          // of the controller
	Templates []template `json:"pods,omitempty"` // kinds of pods
	Syncs     []sync     `json:"syncs"`
}

type flags struct {
	Tolerance float64 `json:"tolerance"`
	Downscale int     `json:"downscale"`
	CPUInit   int     `json:"cpuInit"`
	Delay     int     `json:"delay"`
}

// template is what pods request.
type template struct {
	Containers []container      `json:"containers"`
	Requests   map[string]int64 `json:"requests,omitempty"`
}

type container struct {
	Name     string           `json:"name"`
	Requests map[string]int64 `json:"requests,omitempty"`
}

// sync is one look of the controller at the HPA. What is left out is as it was in
// the sync before.
type sync struct {
	At       float64   `json:"at"`
	Spec     *spec     `json:"spec,omitempty"`
	Set      *int32    `json:"set,omitempty"` // replicas set by somebody else
	Status   *int32    `json:"status,omitempty"`
	Pods     []pod     `json:"pods,omitempty"` // new and changed ones
	Gone     []string  `json:"gone,omitempty"` // names of those that went
	Readings []reading `json:"readings"`
	Want     want      `json:"want"`
}

type spec struct {
	Min      int32     `json:"min"`
	Max      int32     `json:"max"`
	Metrics  []metric  `json:"metrics"`
	Behavior *behavior `json:"behavior,omitempty"`
}

type metric struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Container string `json:"container,omitempty"`
	Type      string `json:"type"`
	Target    int64  `json:"target"`
}

type behavior struct {
	ScaleUp   rules `json:"scaleUp"`
	ScaleDown rules `json:"scaleDown"`
}

type rules struct {
	Window    *int32   `json:"window,omitempty"`
	Select    string   `json:"select,omitempty"`
	Policies  []policy `json:"policies,omitempty"`
	Tolerance *float64 `json:"tolerance,omitempty"`
}

type policy struct {
	Type   string `json:"type"`
	Value  int32  `json:"value"`
	Period int32  `json:"period"`
}

// pod left out fields is running, ready, and has been so since 1000 s before.
type pod struct {
	Name     string `json:"n"`
	Template int    `json:"t,omitempty"`
	Phase    string `json:"phase,omitempty"`
	Ready    string `json:"ready,omitempty"` // "-" for no condition
	Started  *int   `json:"started,omitempty"`
	Since    *int   `json:"since,omitempty"`
	Deleting bool   `json:"deleting,omitempty"`
	NoStart  bool   `json:"noStart,omitempty"`
}

// reading is what the metrics client answers: values, or for each pod the value and,
// where they are not 0 and 30, its age and its window, both in seconds.
type reading struct {
	Err    bool               `json:"err,omitempty"`
	Values []int64            `json:"values,omitempty"`
	Pods   map[string][]int64 `json:"pods,omitempty"`
}

// want is what the controller did. Conditions begin with + or - for their status;
// one that is left out is as it was.
type want struct {
	Replicas int32  `json:"replicas"`
	Able     string `json:"able,omitempty"`
	Active   string `json:"active,omitempty"`
	Limit    string `json:"limit,omitempty"`
	Zero     string `json:"zero,omitempty"` // ScaledToZero
}

func readRecords(t *testing.T) []record {
	t.Helper()
	data, err := os.ReadFile(records)
	if err != nil {
		t.Fatal(err)
	}
	var out []record
	for line := range bytes.Lines(data) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("line %d: %v", len(out)+1, err)
		}
		out = append(out, r)
	}
	return out
}

func writeRecords(t *testing.T, all []record) {
	t.Helper()
	file, err := os.Create(records)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(file)
	for _, r := range all {
		if err := json.NewEncoder(w).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
