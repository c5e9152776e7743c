package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// Text renders the report for a person: the answer first, then what it follows from.
func (r *Report) Text() string {
	var b strings.Builder
	b.WriteString(r.Answer + "\n\n") // one line, however long
	b.WriteString(labelled(r.facts()))
	section(&b, "Triggers", r.triggerLines())
	section(&b, "Limited by", bullets(r.Limits))
	section(&b, "What would change it", bullets(r.Outlook))
	section(&b, "Last decisions", r.decisionLines())
	section(&b, "Events", r.eventLines())
	section(&b, "Not seen", unseenLines(r.Unseen))
	return b.String()
}

// section writes a titled part, if there is any.
func section(b *strings.Builder, title, body string) {
	if body != "" {
		b.WriteString("\n" + title + "\n" + body)
	}
}

// labelled aligns rows of a label and text.
func labelled(rows [][2]string) string {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(wrap(row[1], fmt.Sprintf("%-*s  ", width, row[0]), strings.Repeat(" ", width+2)))
	}
	return b.String()
}

const noValue = "-"

func bullets(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(wrap(l, "  ", "    "))
	}
	return b.String()
}

// facts are the lines below the answer.
func (r *Report) facts() [][2]string {
	rows := [][2]string{{"Object", r.Kind + " " + r.Namespace + "/" + r.Name}}
	if r.Target != nil {
		rows = append(rows, [2]string{"Target", r.Target.text()})
	}
	if r.Jobs != nil {
		rows = append(rows, [2]string{"Jobs", fmt.Sprintf("%d running, %d succeeded, %d failed", r.Jobs.Running, r.Jobs.Succeeded, r.Jobs.Failed)})
	}
	rows = append(rows, [2]string{"Bounds", r.bounds()})
	if r.HPA != nil {
		rows = append(rows, [2]string{"HPA", r.HPA.text()}, [2]string{"", "up " + r.HPA.Up + "; down " + r.HPA.Down})
	}
	for _, c := range r.telling() {
		text := c.text(r.At)
		if c.bad() && c.Message != "" && !strings.Contains(r.Answer, plain(c.Message)) && !r.tellsErrors() {
			text += ": " + c.Message
		}
		rows = append(rows, [2]string{c.Type, text})
	}
	return rows
}

// tellsErrors reports whether the triggers say why they cannot be measured.
func (r *Report) tellsErrors() bool {
	return slices.ContainsFunc(r.Triggers, func(t Trigger) bool { return t.Error != "" })
}

func (t *Target) text() string {
	text := t.Kind + " " + t.Name
	if t.Missing {
		return text + ": does not exist, or has no scale"
	}
	var parts []string
	if t.Wanted != nil {
		parts = append(parts, count(*t.Wanted, "replica"))
	}
	if t.Created != nil && (t.Wanted == nil || *t.Created != *t.Wanted) {
		parts = append(parts, fmt.Sprintf("%d created", *t.Created))
	}
	if t.Ready != nil {
		parts = append(parts, fmt.Sprintf("%d ready", *t.Ready))
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

func (r *Report) bounds() string {
	what := "replicas"
	if r.Kind == v1alpha1.KindScaledJob {
		what = "Jobs at a time"
	}
	text := fmt.Sprintf("%d to %d %s", r.Min, r.Max, what)
	if r.Idle != nil && *r.Idle != r.Min {
		text += fmt.Sprintf(", %d without work", *r.Idle)
	}
	return text
}

func (h *HPA) text() string {
	text := h.Name
	if h.Foreign != "" {
		text += " (not ours: it belongs to " + h.Foreign + ")"
	}
	text += fmt.Sprintf(": saw %d, wants %d", h.Current, h.Desired)
	switch {
	case h.Reason == v1alpha1.ReasonScalingDisabled:
		text = h.Name + ": rests while there are no replicas"
	case h.Reason != "":
		text += "; does not scale: " + h.Reason
	}
	return text
}

// telling are the conditions that matter, in the order in which to read them.
func (r *Report) telling() []Condition {
	var out []Condition
	for _, t := range []v1alpha1.ConditionType{
		v1alpha1.ConditionReady, v1alpha1.ConditionActive, v1alpha1.ConditionHPAActive, v1alpha1.ConditionFallback, v1alpha1.ConditionPaused,
	} {
		for _, c := range r.Conditions {
			if c.Type == string(t) && c.matters() {
				out = append(out, c)
			}
		}
	}
	return out
}

// bad reports whether the condition says that something is wrong.
func (c *Condition) bad() bool {
	t := v1alpha1.ConditionType(c.Type)
	return (t == v1alpha1.ConditionReady || t == v1alpha1.ConditionHPAActive) && c.Status != "True"
}

// matters leaves out conditions that say that nothing is special.
func (c *Condition) matters() bool {
	switch v1alpha1.ConditionType(c.Type) {
	case v1alpha1.ConditionPaused, v1alpha1.ConditionFallback:
		return c.Status == "True"
	case v1alpha1.ConditionHPAActive:
		return c.Status == "False"
	default:
		return true
	}
}

func (c *Condition) text(now time.Time) string {
	text := c.Status
	if c.Since != nil {
		text += " for " + span(now.Sub(*c.Since))
	}
	if c.Reason != "" {
		text += ", " + c.Reason
	}
	return text
}

// triggerLines are the triggers as a table, with what does not fit below their line.
func (r *Report) triggerLines() string {
	if len(r.Triggers) == 0 {
		return ""
	}
	rows := [][]string{{"METRIC", "TYPE", "VALUE", "AGE", "WORK", "ASKS FOR"}}
	for _, t := range r.Triggers {
		rows = append(rows, t.row())
	}
	const indent = "    "
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSuffix(columns("  ", rows), "\n"), "\n") {
		asks, below := rows[i][5], ""
		if utf8.RuneCountInString(line) > lineWidth {
			line, below = strings.TrimRight(strings.TrimSuffix(line, asks), " "), wrap("asks for: "+asks, indent, indent)
		}
		b.WriteString(line + "\n" + below)
		if i > 0 && r.Triggers[i-1].Error != "" {
			b.WriteString(wrap("cannot be measured: "+r.Triggers[i-1].Error, indent, indent))
		}
		if i > 0 && r.Triggers[i-1].Fallback {
			b.WriteString(wrap("the value is what spec.fallback asks for", indent, indent))
		}
	}
	return b.String()
}

func (t *Trigger) row() []string {
	kind := t.Type
	if t.Index < 0 && kind == "" {
		kind = "formula"
	}
	age := noValue
	if t.Age != nil {
		age = span(t.Age.Duration())
	}
	return []string{t.Metric, strings.TrimSpace(cmp.Or(kind, noValue) + " " + t.Name), t.value(), age, t.work(), t.asks()}
}

// value is what was measured; "~" marks what the HPA has rounded.
func (t *Trigger) value() string {
	if t.Value == nil {
		return noValue
	}
	text := number(*t.Value)
	if t.MetricType == "Utilization" {
		text += " %"
	} else if t.From == "hpa" {
		text = "~" + text
	}
	return text
}

// work says whether there is work.
func (t *Trigger) work() string {
	if t.Active == nil {
		return noValue
	}
	text, sign := "no", ": not above "
	if *t.Active {
		text, sign = "yes", ": above "
	}
	if t.Activation == nil || t.Value == nil || *t.Active != (*t.Value > *t.Activation) {
		return text // the scaler says so by itself
	}
	return text + sign + number(*t.Activation)
}

// asks is what the value asks for.
func (t *Trigger) asks() string {
	switch {
	case t.Arithmetic != "":
		return t.Arithmetic
	case t.Target != nil && t.Error == "":
		return "target " + number(*t.Target)
	}
	return noValue
}

func (r *Report) decisionLines() string {
	var b strings.Builder
	width := 0
	for _, d := range r.Decisions {
		width = max(width, len(move(d)))
	}
	for _, d := range slices.Backward(r.Decisions) {
		first := fmt.Sprintf("  %s  %-*s  ", clock(d.At, r.At), width, move(d))
		b.WriteString(wrap(d.Reason+": "+d.Message, first, strings.Repeat(" ", len(first))))
	}
	return b.String()
}

// move is what a decision did, such as "activate 0 -> 1".
func move(d snapshot.Decision) string {
	switch {
	case d.From < 0:
		return d.Action
	case d.From == d.To:
		return fmt.Sprintf("%s %d", d.Action, d.From)
	}
	return fmt.Sprintf("%s %d -> %d", d.Action, d.From, d.To)
}

func (r *Report) eventLines() string {
	var b strings.Builder
	for _, e := range slices.Backward(r.Events) {
		text := e.Reason
		if e.Type == "Warning" {
			text = "Warning " + text
		}
		if e.Count > 1 {
			text += fmt.Sprintf(" (%d times)", e.Count)
		}
		first := "  " + clock(e.At, r.At) + "  "
		b.WriteString(wrap(text+": "+e.Message, first, strings.Repeat(" ", len(first))))
	}
	return b.String()
}

func unseenLines(unseen []Unseen) string {
	var b strings.Builder
	for _, u := range unseen {
		b.WriteString(wrap(u.What+": "+u.Why, "  ", "    "))
	}
	return b.String()
}

// Tree renders the report as a tree: the object, its triggers, its HPA, the
// workload and its pods.
func (r *Report) Tree() string {
	var b strings.Builder
	b.WriteString(r.Answer + "\n\n") // one line, however long
	head := []string{r.Kind, r.Namespace + "/" + r.Name}
	for _, c := range r.telling() {
		head = append(head, c.Type+"="+c.Status)
	}
	root := node{text: strings.Join(head, " ")}
	for _, t := range r.Triggers {
		root.nodes = append(root.nodes, node{text: t.line()})
	}
	work := r.workNode()
	if r.HPA != nil {
		work = node{text: "HPA " + r.HPA.text() + fmt.Sprintf(", %d to %d", r.HPA.Min, r.HPA.Max), nodes: []node{work}}
	}
	root.nodes = append(root.nodes, work)
	root.write(&b, "", "")
	section(&b, "Not seen", unseenLines(r.Unseen))
	return b.String()
}

// line is a trigger on one line.
func (t *Trigger) line() string {
	row := t.row()
	text := fmt.Sprintf("trigger %s (%s)", row[0], row[1])
	switch {
	case t.Error != "":
		return text + ": cannot be measured: " + t.Error
	case t.Value != nil:
		text += ": " + row[2]
		if t.Age != nil {
			text += ", " + row[3] + " ago"
		}
	}
	if row[5] != noValue {
		text += ", " + row[5]
	}
	return text
}

// workNode is what does the work.
func (r *Report) workNode() node {
	var out node
	switch {
	case r.Target != nil:
		out.text = r.Target.text()
	case r.Jobs != nil:
		out.text = fmt.Sprintf("Jobs: %d running, %d succeeded, %d failed", r.Jobs.Running, r.Jobs.Succeeded, r.Jobs.Failed)
	default:
		out.text = "Jobs: not seen"
	}
	if r.Pods == nil || r.Pods.Total == 0 {
		return out
	}
	if len(r.Pods.Items) == 0 {
		text := fmt.Sprintf("%d pods: %d ready", r.Pods.Total, r.Pods.Ready)
		if len(r.Pods.Waiting) > 0 {
			text += ", " + waitingText(r.Pods.Waiting)
		}
		out.nodes = []node{{text: text}}
		return out
	}
	for _, p := range r.Pods.Items {
		out.nodes = append(out.nodes, node{text: "pod " + p.Name + ": " + p.State})
	}
	return out
}

// node is a line of a tree with what is below it.
type node struct {
	text  string
	nodes []node
}

func (n node) write(b *strings.Builder, first, rest string) {
	b.WriteString(wrap(n.text, first, rest+"  "))
	for i, sub := range n.nodes {
		if i == len(n.nodes)-1 {
			sub.write(b, rest+"└─ ", rest+"   ")
		} else {
			sub.write(b, rest+"├─ ", rest+"│  ")
		}
	}
}
