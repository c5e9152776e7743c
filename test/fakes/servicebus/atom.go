package servicebus

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"time"
)

// kind is what the description inside an entry is called.
type kind string

const (
	queue             kind = "QueueDescription"
	subscriptionEntry kind = "SubscriptionDescription"
	schema                 = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
	countSchema            = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
)

// write answers with an Atom document. A client that went away is its own fault.
func write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/atom+xml;type=entry;charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) //nolint:errcheck // the client may have gone
}

func (a *Answer) write(w http.ResponseWriter) {
	for name, value := range map[string]string{"Retry-After": a.RetryAfter, "Location": a.Location} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	write(w, a.Status, a.Body)
}

// problem is the body of a refusal.
func problem(status int, detail string) string {
	return fmt.Sprintf("<Error><Code>%d</Code><Detail>%s</Detail></Error>", status, html.EscapeString(detail))
}

// feed is a list. The one titled "Publicly Listed Services" says that a queue or
// topic does not exist.
func feed(title string, entries []string) string {
	return fmt.Sprintf(`<feed xmlns="http://www.w3.org/2005/Atom"><title type="text">%s</title><id>https://fake/</id><updated>%s</updated>%s</feed>`,
		title, instant(), strings.Join(entries, ""))
}

func instant() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// entry is a queue or a subscription.
func entry(title string, kind kind, c Counts) string {
	total := int64(c.Active) + int64(c.DeadLetter) + int64(c.Scheduled) + int64(c.Transfer) + int64(c.TransferDeadLetter)
	return envelope(title, kind, fmt.Sprintf(
		`<LockDuration>PT1M</LockDuration><SizeInBytes>0</SizeInBytes><MessageCount>%d</MessageCount><Status>Active</Status>`, total), c)
}

// topicEntry is a topic, which has no active messages of its own.
func topicEntry(title string, subscriptions int) string {
	return envelope(title, "TopicDescription", fmt.Sprintf(
		`<SizeInBytes>0</SizeInBytes><Status>Active</Status><SubscriptionCount>%d</SubscriptionCount>`, subscriptions), Counts{})
}

func envelope(title string, kind kind, details string, c Counts) string {
	now := instant()
	var counts strings.Builder
	for _, n := range []struct {
		name  string
		count int32
	}{
		{"ActiveMessageCount", c.Active},
		{"DeadLetterMessageCount", c.DeadLetter},
		{"ScheduledMessageCount", c.Scheduled},
		{"TransferMessageCount", c.Transfer},
		{"TransferDeadLetterMessageCount", c.TransferDeadLetter},
	} {
		fmt.Fprintf(&counts, "<d2p1:%[1]s>%[2]d</d2p1:%[1]s>", n.name, n.count)
	}
	return fmt.Sprintf(`<entry xmlns="http://www.w3.org/2005/Atom"><id>https://fake/%[1]s</id><title type="text">%[1]s</title><published>%[2]s</published><updated>%[2]s</updated>`+
		`<content type="application/xml"><%[3]s xmlns="%[4]s" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">%[5]s`+
		`<CreatedAt>%[2]s</CreatedAt><UpdatedAt>%[2]s</UpdatedAt><AccessedAt>%[2]s</AccessedAt>`+
		`<CountDetails xmlns:d2p1="%[6]s">%[7]s</CountDetails></%[3]s></content></entry>`,
		html.EscapeString(title), now, kind, schema, details, countSchema, counts.String())
}
