package decide_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
)

var update = flag.Bool("update", false, "rewrite testdata with what the code does now")

// TestScripts replays testdata/*.txt. "set" lines change the object; every other line
// is a moment: the time since the start, what the triggers say, "=>" and the
// decision. Indented lines are its conditions, what it carries and when to look
// again. Decisions are carried out, so that each line follows from those before.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts found: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			switch {
			case got == string(want):
			case *update:
				if err := os.WriteFile(f, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("%s differs; run go test -update and read the diff\n%s", f, got)
			}
		})
	}
}

func replay(t *testing.T, script string) string {
	t.Helper()
	in := decide.Input{Created: epoch, ReplicasKnown: true, Cooldown: 5 * time.Minute, Max: 100}
	var out strings.Builder
	for line := range strings.Lines(script) {
		moment, _, _ := strings.Cut(line, "=>")
		f := strings.Fields(moment)
		switch {
		case len(f) == 0 || f[0] == "#":
			out.WriteString(line)
		case line[0] == ' ':
			// The outcome of the moment before, written again there.
		case f[0] == "set":
			for _, kv := range f[1:] {
				set(t, &in, kv)
			}
			out.WriteString(line)
		default:
			in.Now, in.Triggers = epoch.Add(duration(t, f[0])), triggers(t, f[1:])
			d := decide.Decide(in)
			fmt.Fprintf(&out, "%-5s %-18s => %s\n%28s%s\n", f[0], strings.Join(f[1:], " "), d, "", outcome(d))
			in.LastActive = d.LastActive
			if d.Action != decide.Hold {
				in.Replicas = d.To
			}
		}
	}
	return out.String()
}

func outcome(d decide.Decision) string {
	last := "never"
	if !d.LastActive.IsZero() {
		last = d.LastActive.Sub(epoch).String()
	}
	text := fmt.Sprintf("Ready=%s Active=%s last=%s", brief(d.Ready), brief(d.Active), last)
	if d.Recheck > 0 {
		text += fmt.Sprintf(" again=%s", d.Recheck)
	}
	if d.Paused.Status == decide.StatusTrue {
		text += fmt.Sprintf(" Paused=%q", d.Paused.Message)
	}
	if d.Fallback.Status == decide.StatusTrue {
		text += " Fallback=" + string(d.Fallback.Reason)
	}
	return text
}

func set(t *testing.T, in *decide.Input, setting string) {
	t.Helper()
	key, v, _ := strings.Cut(setting, "=")
	switch key {
	case "cooldown":
		in.Cooldown = duration(t, v)
	case "initial":
		in.InitialCooldown = duration(t, v)
	case "min":
		scan(t, v, &in.Min)
	case "max":
		scan(t, v, &in.Max)
	case "replicas":
		if in.ReplicasKnown = v != "unknown"; in.ReplicasKnown {
			scan(t, v, &in.Replicas)
		}
	case "idle":
		in.HasIdle = true
		scan(t, v, &in.Idle)
	case "fallback":
		in.Fallback = true
		scan(t, v, &in.FallbackReplicas)
	case "paused":
		scan(t, v, &in.Paused)
	case "paused-replicas":
		if in.PausedReplicas = nil; v != "none" {
			in.PausedReplicas = new(int32)
			scan(t, v, in.PausedReplicas)
		}
	case "paused-scale-in":
		scan(t, v, &in.PausedScaleIn)
	case "paused-scale-out":
		scan(t, v, &in.PausedScaleOut)
	case "force":
		scan(t, v, &in.ForceActivation)
	default:
		t.Fatalf("nothing is called %q", key)
	}
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
