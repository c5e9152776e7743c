package awsfake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Queue is an SQS queue.
type Queue struct {
	Visible, InFlight, Delayed int
	Denied                     bool // its policy refuses everybody
	Unfit                      bool // the counts are no numbers
}

// SetQueue makes or changes a queue.
func (s *Server) SetQueue(name string, q Queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[name] = q
}

// queueAttributes answers GetQueueAttributes. Like AWS it takes the name alone
// for an address.
func (s *Server) queueAttributes(body []byte) (reply, *Fault) {
	var in struct {
		QueueUrl       string
		AttributeNames []string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &Fault{Code: "SerializationException", Message: err.Error()}
	}
	q, ok := s.queues[in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:]]
	switch {
	case !ok:
		return nil, &Fault{Code: "QueueDoesNotExist", Message: "The specified queue does not exist."}
	case q.Denied:
		return nil, &Fault{
			Status: http.StatusForbidden, Code: "AccessDenied",
			Message: "User: arn:aws:iam::1:user/x is not authorized to perform: sqs:getqueueattributes on resource: " + in.QueueUrl,
		}
	}
	out := map[string]string{}
	for name, n := range map[string]int{
		"ApproximateNumberOfMessages":           q.Visible,
		"ApproximateNumberOfMessagesNotVisible": q.InFlight,
		"ApproximateNumberOfMessagesDelayed":    q.Delayed,
	} {
		if slices.Contains(in.AttributeNames, name) || slices.Contains(in.AttributeNames, "All") {
			out[name] = strconv.Itoa(n)
			if q.Unfit {
				out[name] = "many"
			}
		}
	}
	return map[string]any{"Attributes": out}, nil
}

// SetStream makes a Kinesis stream with a number of open shards.
func (s *Server) SetStream(name string, shards int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[name] = shards
}

func (s *Server) streamSummary(body []byte) (reply, *Fault) {
	var in struct{ StreamName string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &Fault{Code: "SerializationException", Message: err.Error()}
	}
	shards, ok := s.streams[in.StreamName]
	if !ok {
		return nil, &Fault{Code: "ResourceNotFoundException", Message: "Stream " + in.StreamName + " under account 000000000000 not found."}
	}
	return map[string]any{"StreamDescriptionSummary": map[string]any{
		"StreamName": in.StreamName, "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/" + in.StreamName, "StreamStatus": "ACTIVE",
		"RetentionPeriodHours": 24, "StreamCreationTimestamp": 1.6e9, "EnhancedMonitoring": []any{}, "OpenShardCount": shards,
	}}, nil
}

// SecretVersion is one version of a secret in Secrets Manager.
type SecretVersion struct {
	ID     string
	Stages []string // such as "AWSCURRENT"
	Text   string   // SecretString
	Binary []byte   // SecretBinary, when there is no text
	Denied bool
}

// SetSecret makes a secret of versions, or removes it when there are none.
func (s *Server) SetSecret(name string, versions ...SecretVersion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[name] = versions
}

func (s *Server) secretValue(body []byte) (reply, *Fault) {
	var in struct {
		SecretId, VersionId, VersionStage string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &Fault{Code: "SerializationException", Message: err.Error()}
	}
	if in.VersionId == "" && in.VersionStage == "" {
		in.VersionStage = "AWSCURRENT"
	}
	for _, v := range s.secrets[in.SecretId] {
		if in.VersionId != "" && in.VersionId != v.ID || in.VersionStage != "" && !slices.Contains(v.Stages, in.VersionStage) {
			continue
		}
		if v.Denied {
			return nil, &Fault{Code: "AccessDeniedException", Message: "User: arn:aws:iam::1:user/x is not authorized to perform: secretsmanager:GetSecretValue"}
		}
		out := map[string]any{
			"ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:" + in.SecretId, "Name": in.SecretId,
			"VersionId": v.ID, "VersionStages": v.Stages, "CreatedDate": 1.6e9,
		}
		if v.Binary != nil {
			out["SecretBinary"] = v.Binary
		} else {
			out["SecretString"] = v.Text
		}
		return out, nil
	}
	return nil, &Fault{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
}
