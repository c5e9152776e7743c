package azureeventhub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"

	"github.com/weir-sh/weir/pkg/scalers"
)

// explain makes an error of what the client returned. The client quotes what the
// service says, and the service what it was sent, so nothing of either is
// repeated but names of conditions.
func explain(err error) *scalers.Error {
	if own, ok := errors.AsType[*scalers.Error](err); ok {
		cause := *own
		cause.Hint = ""
		return &scalers.Error{Kind: own.Kind, Hint: own.Hint, RetryAfter: own.RetryAfter, Err: &cause}
	}
	if refusal, ok := errors.AsType[rpcError](err); ok {
		return statusError(refusal.RPCCode())
	}
	if remote, ok := errors.AsType[*amqp.Error](err); ok {
		return conditionError(remote.Condition)
	}
	if coded, ok := errors.AsType[*azeventhubs.Error](err); ok && coded.Code == azeventhubs.ErrorCodeUnauthorizedAccess {
		return unauthorized()
	}
	if e, ok := unreached(err); ok {
		return e
	}
	return &scalers.Error{
		Kind: scalers.BadAnswer, Err: errors.New("the answer is not what the service documents"),
		Hint: "check that the endpoint is an Event Hubs namespace",
	}
}

// unreached explains an error of the network.
func unreached(err error) (*scalers.Error, bool) {
	e := &scalers.Error{Kind: scalers.Unreachable}
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Err, e.Hint = untrusted, "trust the server's certificate authority"
		return e, true
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		e.Err = failed
		return e, true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		e.Err = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
		return e, true
	}
	e.Err = errors.New("the connection broke")
	return e, broke(err)
}

// broke reports whether the connection ended, or a part of it.
func broke(err error) bool {
	if coded, ok := errors.AsType[*azeventhubs.Error](err); ok {
		return coded.Code == azeventhubs.ErrorCodeConnectionLost
	}
	_, isConn := errors.AsType[*amqp.ConnError](err)
	_, isSession := errors.AsType[*amqp.SessionError](err)
	_, isLink := errors.AsType[*amqp.LinkError](err)
	_, isNet := errors.AsType[net.Error](err)
	return isConn || isSession || isLink || isNet || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF)
}

// conditionError explains why the service closed a link or the connection.
func conditionError(condition amqp.ErrCond) *scalers.Error {
	switch condition {
	case amqp.ErrCondUnauthorizedAccess:
		return unauthorized()
	case amqp.ErrCondNotFound:
		return missing()
	case "com.microsoft:server-busy", amqp.ErrCondResourceLimitExceeded:
		return &scalers.Error{Kind: scalers.Throttled, Err: errors.New("the service is busy")}
	}
	return &scalers.Error{Kind: scalers.Unreachable, Err: errors.New("the service says " + scalers.Excerpt(string(condition)))}
}

func unauthorized() *scalers.Error {
	return &scalers.Error{
		Kind: scalers.Unauthorized, Err: errors.New("the service refused the credentials"),
		Hint: "check the shared access policy, which needs Listen, or grant the identity Azure Event Hubs Data Receiver",
	}
}

func missing() *scalers.Error {
	return &scalers.Error{
		Kind: scalers.NotFound, Err: errors.New("the event hub does not exist"),
		Hint: "create it, or correct eventHubName or the EntityPath of the connection string",
	}
}

func statusText(status int) string {
	return fmt.Sprintf("status %d %s", status, http.StatusText(status))
}
