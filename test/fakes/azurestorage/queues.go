package azurestorage

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// queue is a queue's messages, each by when it becomes visible.
type queue struct{ visible []time.Time }

// seen is how many messages are visible now.
func (q *queue) seen(now time.Time) int {
	n := 0
	for _, at := range q.visible {
		if !at.After(now) {
			n++
		}
	}
	return n
}

// Queues serves the queue service.
func (a *Account) Queues() http.Handler {
	return a.service('q', map[string]handler{
		"Create Queue":       a.createQueue,
		"Get Queue Metadata": a.queueMetadata,
		"Put Message":        a.putMessage,
		"Peek Messages":      a.peek,
	}, func(r request) string {
		query := r.URL.Query()
		switch {
		case r.object == "" && r.Method == http.MethodPut:
			return "Create Queue"
		case r.object == "" && r.Method == http.MethodGet && query.Get("comp") == "metadata":
			return "Get Queue Metadata"
		case r.object == "messages" && r.Method == http.MethodPost:
			return "Put Message"
		case r.object == "messages" && r.Method == http.MethodGet && query.Get("peekonly") == "true":
			return "Peek Messages"
		}
		return ""
	})
}

// SetQueue creates a queue, or replaces it: with messages that can be received,
// and messages that cannot for the next hour.
func (a *Account) SetQueue(name string, visible, invisible int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := &queue{visible: make([]time.Time, visible, visible+invisible)}
	for range invisible {
		q.visible = append(q.visible, time.Now().Add(time.Hour))
	}
	a.queues[name] = q
}

// find returns a queue that exists.
func (a *Account) find(r request) (*queue, error) {
	if q := a.queues[r.resource]; q != nil {
		return q, nil
	}
	return nil, failure{http.StatusNotFound, "QueueNotFound", "The specified queue does not exist."}
}

func (a *Account) createQueue(w http.ResponseWriter, r request) error {
	status := http.StatusNoContent
	if a.queues[r.resource] == nil {
		a.queues[r.resource], status = &queue{}, http.StatusCreated
	}
	w.WriteHeader(status)
	return nil
}

func (a *Account) queueMetadata(w http.ResponseWriter, r request) error {
	q, err := a.find(r)
	if err != nil {
		return err
	}
	w.Header().Set("x-ms-approximate-messages-count", strconv.Itoa(len(q.visible)))
	w.WriteHeader(http.StatusOK)
	return nil
}

// queueMessage is one message of an answer.
type queueMessage struct {
	MessageID      string `xml:"MessageId"`
	InsertionTime  string
	ExpirationTime string
	DequeueCount   *int    `xml:",omitempty"`
	MessageText    *string `xml:",omitempty"`
	PopReceipt     string  `xml:",omitempty"`
	NextVisible    string  `xml:"TimeNextVisible,omitempty"`
}

type queueMessages struct {
	XMLName  xml.Name       `xml:"QueueMessagesList"`
	Messages []queueMessage `xml:"QueueMessage"`
}

func newMessage(i int, now time.Time) queueMessage {
	return queueMessage{
		MessageID:     fmt.Sprintf("00000000-0000-0000-0000-%012d", i),
		InsertionTime: now.UTC().Format(http.TimeFormat), ExpirationTime: now.Add(time.Hour).UTC().Format(http.TimeFormat),
	}
}

func (a *Account) putMessage(w http.ResponseWriter, r request) error {
	q, err := a.find(r)
	if err != nil {
		return err
	}
	hidden := 0
	if v := r.URL.Query().Get("visibilitytimeout"); v != "" {
		if hidden, err = strconv.Atoi(v); err != nil {
			return failure{http.StatusBadRequest, "InvalidQueryParameterValue", "The visibility timeout is no number."}
		}
	}
	now := time.Now()
	m := newMessage(len(q.visible), now)
	m.PopReceipt, m.NextVisible = "receipt", now.Add(time.Duration(hidden)*time.Second).UTC().Format(http.TimeFormat)
	q.visible = append(q.visible, now.Add(time.Duration(hidden)*time.Second))
	writeXML(w, http.StatusCreated, queueMessages{Messages: []queueMessage{m}})
	return nil
}

func (a *Account) peek(w http.ResponseWriter, r request) error {
	q, err := a.find(r)
	if err != nil {
		return err
	}
	most := 1
	if v := r.URL.Query().Get("numofmessages"); v != "" {
		if most, err = strconv.Atoi(v); err != nil || most < 1 || most > 32 {
			return failure{http.StatusBadRequest, "OutOfRangeQueryParameterValue", "Between 1 and 32 messages can be peeked at."}
		}
	}
	now := time.Now()
	list := queueMessages{}
	for i := range min(most, q.seen(now)) {
		m := newMessage(i, now)
		m.DequeueCount, m.MessageText = new(int), new(string)
		list.Messages = append(list.Messages, m)
	}
	writeXML(w, http.StatusOK, list)
	return nil
}
