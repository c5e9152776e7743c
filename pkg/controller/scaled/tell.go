package scaled

import (
	"log/slog"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/triggers"
)

// Teller tells users what becomes of the objects of a kind, by events and in the log.
// What lasts is told once, when it begins. All fields are required.
type Teller struct {
	Events events.EventRecorder
	Log    *slog.Logger

	// The reasons of events, which differ from kind to kind.
	Ready, CheckFailed, PausedBy, Unpaused string
}

// Named is o as an attribute of a line of the log.
func Named(o client.Object) slog.Attr {
	return slog.String("object", o.GetNamespace()+"/"+o.GetName())
}

// Normal emits an event; see Event.
func (t Teller) Normal(o client.Object, reason, action, note string) {
	Event(t.Events, o, corev1.EventTypeNormal, reason, action, note)
}

// Warning emits an event; see Event.
func (t Teller) Warning(o client.Object, reason, action, note string) {
	Event(t.Events, o, corev1.EventTypeWarning, reason, action, note)
}

// Failures tells which triggers of o began to fail, with an event of this reason, and
// logs which can be measured again.
func (t Teller) Failures(o client.Object, m *Memory, reason string, list []decide.Trigger) {
	var failing []string
	for _, x := range list {
		told := slices.Contains(m.failing, x.Name)
		switch {
		case x.Err != "" && !told:
			t.Log.Warn("trigger cannot be measured", Named(o), slog.String("trigger", x.Name), slog.String("error", x.Err))
			t.Warning(o, reason, "measuring", x.Name+": "+x.Err)
		case told && x.State != decide.Unknown:
			t.Log.Info("trigger can be measured again", Named(o), slog.String("trigger", x.Name))
		}
		if x.Err != "" || told && x.State == decide.Unknown { // not measured yet, with other settings
			failing = append(failing, x.Name)
		}
	}
	m.failing = failing
}

// Stopped forgets the failures of o, of which nothing is measured any more, and tells
// that if something was until now.
func (t Teller) Stopped(o client.Object, m *Memory, measured bool) {
	m.failing = nil
	if measured {
		t.Normal(o, v1alpha1.EventScalersStopped, "measuring", "measuring stopped")
	}
}

// Warnings tells of warnings when they changed, as one event.
func (t Teller) Warnings(o client.Object, m *Memory, list []triggers.Problem) {
	text := Text(list)
	if text == m.Warned {
		return
	}
	m.Warned = text
	if text != "" {
		t.Warning(o, v1alpha1.EventScalerInfo, "checking", text)
	}
}

// Conditions tells what became of Ready and Paused: that o became ready, what is
// wrong with it when that changed, and that a pause began or ended.
func (t Teller) Conditions(o client.Object, before, after []v1alpha1.Condition) {
	t.ready(o, v1alpha1.FindCondition(before, v1alpha1.ConditionReady), v1alpha1.FindCondition(after, v1alpha1.ConditionReady))
	was, is := v1alpha1.ConditionStatus(before, v1alpha1.ConditionPaused), v1alpha1.FindCondition(after, v1alpha1.ConditionPaused)
	switch {
	case is == nil || is.Status == was:
	case is.Status == metav1.ConditionTrue:
		t.Normal(o, t.PausedBy, "pausing", is.Message)
	case was == metav1.ConditionTrue:
		t.Normal(o, t.Unpaused, "pausing", is.Message)
	}
}

func (t Teller) ready(o client.Object, was, is *v1alpha1.Condition) {
	switch {
	case is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason && was.Message == is.Message:
	case is.Reason == t.CheckFailed:
		t.Log.Warn("not ready", Named(o), slog.String("problem", is.Message))
		t.Warning(o, t.CheckFailed, "checking", is.Message)
	case is.Status == metav1.ConditionTrue && (was == nil || was.Status != is.Status):
		t.Log.Info("ready", Named(o))
		plain, _, _ := strings.Cut(is.Message, andWarning)
		t.Normal(o, t.Ready, "checking", plain)
	}
}

// Event emits an event about o. Kind is Normal or Warning; action is a word or two.
// Notes are cut to what the API server takes.
func Event(to events.EventRecorder, o runtime.Object, kind, reason, action, note string) {
	const most = 1024
	to.Eventf(o, nil, kind, reason, action, "%s", cut(note, most))
}

// cut shortens text to so many bytes.
func cut(text string, most int) string {
	if len(text) > most {
		return strings.ToValidUTF8(text[:most-3], "") + "..."
	}
	return text
}
