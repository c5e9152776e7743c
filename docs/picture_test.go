package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/hpa"
)

// play is the burst of work that the picture of two-phase scaling shows, second by
// second: what weir decides by its rules, and the HPA by its arithmetic.
type play struct {
	start      time.Time
	replicas   int32
	reading    decide.Trigger
	lastActive time.Time
	recheck    time.Time // when weir looks again without a reading; zero: it need not
	autoscaler hpa.State
	changes    []string // such as "0:30 Weir: 0 → 1"
}

// work is how many messages wait after so many seconds.
func work(second int) float64 {
	switch {
	case second < 20 || second >= 560:
		return 0
	case second < 140:
		return 60
	}
	return 8
}

func (p *play) at(second int) time.Time { return p.start.Add(time.Duration(second) * time.Second) }

func (p *play) scale(second int, who string, to int32) {
	if to != p.replicas {
		p.changes = append(p.changes, fmt.Sprintf("%d:%02d %s: %d → %d", second/60, second%60, who, p.replicas, to))
		p.replicas = to
	}
}

// measure takes a reading.
func (p *play) measure(second int) {
	p.reading.State, p.reading.Value = decide.Idle, work(second)
	if p.reading.Value > p.reading.Activation {
		p.reading.State = decide.Busy
	}
}

// decide lets weir act on the newest reading.
func (p *play) decide(second int) {
	d := decide.Decide(decide.Input{
		Now: p.at(second), Created: p.start, LastActive: p.lastActive, Replicas: p.replicas, ReplicasKnown: true, Max: 100,
		Cooldown: 300 * time.Second, Triggers: []decide.Trigger{p.reading},
	})
	p.lastActive, p.recheck = d.LastActive, time.Time{}
	if d.Recheck > 0 {
		p.recheck = d.At.Add(d.Recheck)
	}
	p.scale(second, "Weir", d.To)
}

// sync is one look of the HPA controller.
func (p *play) sync(second int) {
	metric := hpa.Metric{Kind: hpa.External, Name: p.reading.Name, Type: hpa.AverageValue, Target: int64(p.reading.Target * 1000)}
	r := p.autoscaler.Sync(hpa.Input{
		Spec:     hpa.Spec{Min: 1, Max: 100, Metrics: []hpa.Metric{metric}, Behavior: &hpa.Behavior{}},
		Flags:    hpa.DefaultFlags(),
		Scale:    hpa.Scale{Now: p.at(second), Spec: p.replicas, Status: p.replicas},
		Readings: []hpa.Reading{{Values: []int64{int64(p.reading.Value * 1000)}}},
	})
	p.scale(second, "HPA", r.Desired)
}

// TestThePictureShowsWhatHappens: polls at 0:00, 0:30 and so on, the HPA at 0:10,
// 0:25 and so on.
func TestThePictureShowsWhatHappens(t *testing.T) {
	t.Parallel()
	p := play{
		start:   time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC),
		reading: decide.Trigger{Name: "s0-redis-jobs", Target: 10},
	}
	for second := range 900 {
		poll, tick := second%30 == 0, second%15 == 10
		if poll || tick && p.replicas > 0 { // a read of the HPA finds a reading of more than 5 s
			p.measure(second)
			p.decide(second)
		}
		if !p.recheck.IsZero() && !p.at(second).Before(p.recheck) {
			p.decide(second)
		}
		if tick {
			p.sync(second)
		}
	}
	want := []string{"0:30 Weir: 0 → 1", "0:40 HPA: 1 → 5", "0:55 HPA: 5 → 6", "7:10 HPA: 6 → 1", "14:10 Weir: 1 → 0"}
	if !slices.Equal(p.changes, want) {
		t.Errorf("it goes %q, the picture shows %q", p.changes, want)
	}
	svg, err := os.ReadFile(filepath.Join("img", "two-phase.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range want {
		at, what, _ := strings.Cut(change, " ")
		for _, text := range []string{">" + at + "<", ">" + what + "<"} {
			if !strings.Contains(string(svg), text) {
				t.Errorf("the picture has no text %q", text)
			}
		}
	}
}
