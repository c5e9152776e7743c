package main

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAuditCountsTheWritesOfOneUser(t *testing.T) {
	const lines = `{"verb":"patch","stageTimestamp":"2026-01-01T00:00:01.5Z","user":{"username":"weir"},"objectRef":{"resource":"scaledobjects","subresource":"status"}}
{"verb":"patch","stageTimestamp":"2026-01-01T00:00:02Z","user":{"username":"other"},"objectRef":{"resource":"scaledobjects","name":"weir"}}
{"verb":"create","stageTimestamp":"2026-01-01T00:00:03Z","user":{"username":"weir"},"objectRef":{"resource":"subjectaccessreviews"}}
{"verb":"patch","stageTimestamp":"2026-01-01T00:00:09Z","user":{"username":"weir"},"objectRef":{"resource":"horizontalpodautoscalers"}}
`
	const half = `{"verb":"delete","stageTimestamp":"2026-01-01T00:00:10Z","user":{"user`
	const rest = `name":"weir"},"objectRef":{"resource":"leases"}}` + "\n"
	file := filepath.Join(t.TempDir(), "audit.log")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := &audit{path: file, user: "weir"}
	if !a.last().IsZero() {
		t.Errorf("before anything is read, the last write was %v", a.last())
	}
	write(lines + half)
	if err := a.read(); err != nil {
		t.Fatal(err)
	}
	if got := a.last().Sub(start); got != 9*time.Second {
		t.Errorf("the last write was at %v", got)
	}
	write(lines + half + rest)
	if err := a.read(); err != nil {
		t.Fatal(err)
	}
	writes, reviews := a.between(start, start.Add(time.Hour))
	want := map[string]int{"patch scaledobjects/status": 1, "patch horizontalpodautoscalers": 1, "delete leases": 1}
	if !maps.Equal(writes, want) || reviews != 1 {
		t.Errorf("got %v and %d reviews", writes, reviews)
	}
	write("anew\n")
	if err := a.read(); err == nil || err.Error() != "reading the audit log: it was started anew, and writes may be missing" {
		t.Errorf("a log that was started anew: %v", err)
	}
	writes, reviews = a.between(start.Add(3*time.Second), start.Add(9*time.Second))
	if len(writes) != 0 || reviews != 1 {
		t.Errorf("a span includes its beginning and not its end: got %v and %d reviews", writes, reviews)
	}
}

func TestAuditRefusesWhatIsNoEvent(t *testing.T) {
	a := &audit{user: "weir"}
	if err := a.add([]byte("{weir\n")); err == nil {
		t.Error("no error")
	}
	if err := (&audit{path: filepath.Join(t.TempDir(), "none")}).read(); err == nil {
		t.Error("a log that is not there is no error")
	}
}
