package gcpmonitoring

import (
	"regexp"
	"strings"
	"unicode"
)

// resource is a subscription or a topic.
type resource struct {
	kind    string // "subscription" or "topic"
	written string // as the user wrote it
	project string // empty means that of the credentials
	id      string
}

// newResource takes a name apart: the id alone, or projects/P/subscriptions/ID or
// projects/P/topics/ID with either kind.
func newResource(kind, written string) resource {
	r := resource{kind: kind, written: written, id: written}
	full := regexp.MustCompile(`projects/[^/]+/(subscriptions|topics)/[^/]+`).MatchString(written)
	if parts := strings.Split(written, "/"); full && len(parts) > 3 {
		r.project, r.id = parts[1], parts[3]
	}
	return r
}

// problem says why nothing can have this name, or "".
func (r resource) problem() string {
	switch {
	case !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}$`).MatchString(r.id):
		return "a name is 3 to 255 letters, digits and - _ . ~ + %, and begins with a letter"
	case strings.HasPrefix(strings.ToLower(r.id), "goog"):
		return `a name does not begin with "goog"`
	case r.project != "" && !validProject(r.project):
		return "a project's id is letters, digits and - . :"
	}
	return ""
}

// validProject keeps a project from being more than a name in a filter.
func validProject(id string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:-]*$`).MatchString(id)
}

// metricType is the metric that a mode reads.
func metricType(kind, mode string) string {
	if mode == defaultMode {
		mode = "NumUndeliveredMessages"
	}
	return "pubsub.googleapis.com/" + kind + "/" + snakeCase(mode)
}

// validMetric keeps what a user wrote as the mode from being more than a name in a
// filter.
func validMetric(typ string) bool { return regexp.MustCompile(`^[a-z0-9_./]+$`).MatchString(typ) }

// snakeCase puts an underscore before capitals, and makes them small.
func snakeCase(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
