package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// weirUser is who weir is to the API server.
const weirUser = "system:serviceaccount:weir-system:weir"

// audit reads the audit log as it grows, and keeps what one user wrote.
type audit struct {
	path string
	user string

	offset int64
	writes []write
}

// write is a request that changes something, or asks for a review.
type write struct {
	at     time.Time
	what   string // such as "patch scaledobjects/status"
	review bool   // asks who a caller is and what it may do; nothing is stored
}

// auditEvent is what matters of audit.k8s.io/v1 Event.
type auditEvent struct {
	Verb           string
	StageTimestamp time.Time
	User           struct{ Username string }
	ObjectRef      struct{ Resource, Subresource string }
}

// read takes up what was logged since it was called last.
func (a *audit) read() (err error) {
	f, err := os.Open(a.path)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil && end < a.offset {
		err = errors.New("it was started anew, and writes may be missing")
	}
	if err == nil {
		_, err = f.Seek(a.offset, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1] // the last line may be half written
	a.offset += int64(len(text))
	return a.add(text)
}

// add takes up whole lines.
func (a *audit) add(text []byte) error {
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(a.user)) { // most lines are of others
			continue
		}
		var e auditEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("reading a line of the audit log: %w", err)
		}
		if e.User.Username != a.user {
			continue
		}
		w := write{at: e.StageTimestamp, what: e.Verb + " " + e.ObjectRef.Resource}
		if e.ObjectRef.Subresource != "" {
			w.what += "/" + e.ObjectRef.Subresource
		}
		w.review = slices.Contains([]string{"tokenreviews", "subjectaccessreviews"}, e.ObjectRef.Resource)
		a.writes = append(a.writes, w)
	}
	return nil
}

// between counts the writes and the reviews of a span of time.
func (a *audit) between(from, to time.Time) (writes map[string]int, reviews int) {
	writes = map[string]int{}
	for _, w := range a.writes {
		switch {
		case w.at.Before(from) || !w.at.Before(to):
		case w.review:
			reviews++
		default:
			writes[w.what]++
		}
	}
	return writes, reviews
}

// last is when the newest write was, reviews left aside.
func (a *audit) last() time.Time {
	for _, w := range slices.Backward(a.writes) {
		if !w.review {
			return w.at
		}
	}
	return time.Time{}
}
