package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/IBM/sarama"

	"github.com/weir-sh/weir/pkg/scalers"
)

const (
	hintLogin   = "check username, password and the mechanism that the broker expects"
	hintAddress = "check bootstrapServers, the brokers' advertised addresses, network policies and tls"
	hintTopic   = "allow the user DESCRIBE on the topic"
	hintGroup   = "allow the user DESCRIBE on the consumer group"
	hintWait    = "wait until the brokers have settled"
)

// failure makes the error of op. What brokers say in words is not quoted.
func failure(op string, err error) *scalers.Error {
	if own, ok := errors.AsType[*scalers.Error](err); ok {
		if own.Op == "" {
			own = &scalers.Error{Kind: own.Kind, Op: op, Hint: own.Hint, RetryAfter: own.RetryAfter, Err: own.Err}
		}
		return own
	}
	e := &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: failureOf(err), Hint: hintAddress}
	_, garbled := errors.AsType[sarama.PacketDecodingError](err)
	_, misconfigured := errors.AsType[sarama.ConfigurationError](err)
	code, answered := codeOf(err)
	switch {
	case answered:
		e.Kind, e.Hint = meaning(code)
	case misconfigured:
		e.Kind, e.Hint = scalers.Invalid, "check the parameters of the login"
	case garbled, errors.Is(err, errGarbled), errors.Is(err, sarama.ErrInsufficientData):
		e.Kind, e.Hint = scalers.BadAnswer, "check that the address is a Kafka broker, and whether it needs TLS"
	case errors.Is(err, errNoBroker), errors.Is(err, errNoAnswer):
		e.Hint = hintWait
	case errors.Is(err, errChanged):
		e.Hint = ""
	case certificate(err):
		e.Hint = "give the authority of the brokers' certificates as ca, or connect by a name that is in the certificate"
	case errors.Is(err, io.EOF):
		e.Hint = "brokers close connections that expect another login or none, or TLS or none: check sasl, username, password and tls"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Hint = "check that the brokers answer in time"
	}
	return e
}

// codeOf finds the code that a broker answered. A refused login for which the
// broker gives words as well is found by errors.Is only.
func codeOf(err error) (sarama.KError, bool) {
	if code, ok := errors.AsType[sarama.KError](err); ok {
		return code, true
	}
	for _, code := range []sarama.KError{sarama.ErrSASLAuthenticationFailed, sarama.ErrUnsupportedSASLMechanism, sarama.ErrIllegalSASLState} {
		if errors.Is(err, code) {
			return code, true
		}
	}
	return 0, false
}

// failureOf reduces an error to what may be shown.
func failureOf(err error) error {
	if code, ok := codeOf(err); ok {
		return fmt.Errorf("code %d: %w", int16(code), code)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the broker closed the connection: %w", io.EOF)
	}
	return err
}

// meaning of an error that a broker answered.
func meaning(code sarama.KError) (kind scalers.Kind, hint string) {
	const both = "allow the user DESCRIBE on topic and consumer group"
	type told struct {
		kind scalers.Kind
		hint string
	}
	if m, ok := map[sarama.KError]told{
		sarama.ErrUnknownTopicOrPartition:    {scalers.NotFound, "create the topic, or correct its name"},
		sarama.ErrGroupIDNotFound:            {scalers.NotFound, "correct consumerGroup, or start the consumers"},
		sarama.ErrTopicAuthorizationFailed:   {scalers.Unauthorized, hintTopic},
		sarama.ErrGroupAuthorizationFailed:   {scalers.Unauthorized, hintGroup},
		sarama.ErrClusterAuthorizationFailed: {scalers.Unauthorized, both},
		sarama.ErrSASLAuthenticationFailed:   {scalers.Unauthorized, hintLogin},
		sarama.ErrUnsupportedSASLMechanism:   {scalers.Unauthorized, hintLogin},
		sarama.ErrIllegalSASLState:           {scalers.Unauthorized, hintLogin},
		sarama.ErrInvalidTopic:               {scalers.Invalid, "correct the name of the topic"},
		sarama.ErrInvalidGroupId:             {scalers.Invalid, "correct consumerGroup"},
		sarama.ErrThrottlingQuotaExceeded:    {scalers.Throttled, "raise the user's quota"},
		sarama.ErrUnsupportedVersion: {
			scalers.BadAnswer, "set version to the release of the brokers, and check that they offer a login when sasl asks for one",
		},
		sarama.ErrNetworkException:      {scalers.Unreachable, hintWait},
		sarama.ErrRequestTimedOut:       {scalers.Unreachable, hintWait},
		sarama.ErrOffsetsLoadInProgress: {scalers.Unreachable, hintWait},
	}[code]; ok {
		return m.kind, m.hint
	}
	if stale(code) {
		return scalers.Unreachable, hintWait
	}
	return scalers.BadAnswer, "see the brokers' log"
}

// stale reports whether what is known of the cluster may be out of date, so that
// asking anew may help.
func stale(code sarama.KError) bool {
	return slices.Contains([]sarama.KError{
		sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition, sarama.ErrReplicaNotAvailable,
		sarama.ErrBrokerNotAvailable, sarama.ErrKafkaStorageError, sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch,
		sarama.ErrOffsetNotAvailable, sarama.ErrNotCoordinatorForConsumer, sarama.ErrConsumerCoordinatorNotAvailable,
	}, code)
}

// retryable reports whether asking anew may help against err: another broker may
// have taken over from one that is stale, or gone.
func retryable(err error) bool {
	if code, ok := codeOf(err); ok {
		return stale(code)
	}
	return err != nil && failure("", err).Kind == scalers.Unreachable
}

// coded makes an error of an answered code; nil for none.
func coded(code sarama.KError) error {
	if code == sarama.ErrNoError {
		return nil
	}
	return code
}

// certificate reports whether a TLS handshake failed for the certificate.
func certificate(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	return unverified || unknown
}
