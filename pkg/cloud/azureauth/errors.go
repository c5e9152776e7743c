package azureauth

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Failed makes a *scalers.Error of what a client or a credential of the Azure SDK
// returned. Op says what was tried, as a gerund. Of a refusal only the status and
// Azure's code for it are told: bodies and addresses may hold signatures.
func Failed(op string, err error) error {
	if e, ok := errors.AsType[*scalers.Error](err); ok {
		inner := *e
		inner.Hint = ""
		return &scalers.Error{Kind: e.Kind, Op: op, Err: &inner, Hint: e.Hint, RetryAfter: e.RetryAfter}
	}
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return refused(op, e.StatusCode, e.ErrorCode, e.RawResponse)
	}
	if e, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		return notLoggedIn(op, e)
	}
	return lost(op, err)
}

// notLoggedIn explains why there is no token.
func notLoggedIn(op string, err *azidentity.AuthenticationFailedError) error {
	out := &scalers.Error{Kind: scalers.Unauthorized, Op: op, Hint: "check client id, tenant and the federated credential of the identity"}
	if err.RawResponse == nil {
		// Most likely the token file cannot be read. The text may hold an answer.
		out.Err = errors.New("the login could not be prepared")
		out.Hint = "check that the file of the workload identity's token can be read, and the tenant"
		return out
	}
	status := err.RawResponse.StatusCode
	if status == http.StatusTooManyRequests || status >= http.StatusInternalServerError {
		return refused(op, status, "", err.RawResponse)
	}
	out.Err = &StatusError{status, entraCode(err.RawResponse)}
	return out
}

// entraCode returns the number of an error of Microsoft Entra ID, such as
// "AADSTS700016", or "".
func entraCode(resp *http.Response) string {
	body, err := runtime.Payload(resp)
	if err != nil {
		return ""
	}
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	if code := regexp.MustCompile(`^AADSTS[0-9]{1,9}\b`).FindString(answer.Description); code != "" {
		return code
	}
	return word(answer.Error)
}

// word returns what Azure calls an error if it looks like a code, or "".
func word(code string) string {
	if regexp.MustCompile(`^[A-Za-z][A-Za-z_]{1,63}$`).MatchString(code) {
		return code
	}
	return ""
}

// StatusError is an answer that is no success.
type StatusError struct {
	Status int
	Code   string // Azure's, such as "QueueNotFound"; may be empty
}

// Error implements error.
func (e *StatusError) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("status %d %s", e.Status, http.StatusText(e.Status)))
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	return text
}

// refused makes an error of an answer that is no success.
func refused(op string, status int, code string, resp *http.Response) error {
	out := &scalers.Error{Kind: kindOf(status), Op: op, Err: &StatusError{status, word(code)}}
	if resp != nil {
		out.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	if status == http.StatusServiceUnavailable && (out.RetryAfter > 0 || busy(code, resp)) {
		out.Kind = scalers.Throttled
	}
	return out
}

// busy reports whether a 503 asks for less: storage accounts and Service Bus
// namespaces over their limits answer it with a code of their own.
func busy(code string, resp *http.Response) bool {
	if code == "ServerBusy" {
		return true
	}
	if resp == nil {
		return false
	}
	body, err := runtime.Payload(resp)
	return err == nil && regexp.MustCompile(`\b500(01|02|04|08|09)\b`).Match(body)
}

func kindOf(status int) scalers.Kind {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return scalers.Unauthorized
	case http.StatusNotFound, http.StatusGone:
		return scalers.NotFound
	case http.StatusTooManyRequests:
		return scalers.Throttled
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return scalers.Unreachable
	}
	return scalers.BadAnswer
}

// retryAfter reads the header of that name, which holds seconds or a date; zero
// when it holds neither or the past.
func retryAfter(v string, now time.Time) time.Duration {
	const most = time.Hour
	if s, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
		return time.Duration(min(max(0, s), int(most/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, t.Sub(now)), most)
	}
	return 0
}

// lost makes an error of what went wrong on the way. What does not come from the
// network is an answer that the SDK could not read.
func lost(op string, err error) error {
	out := &scalers.Error{Kind: scalers.Unreachable, Op: op, Err: err}
	if e, ok := errors.AsType[*url.Error](err); ok {
		out.Err = e.Err // without the address, whose query may hold a signature
	}
	network, isNetwork := errors.AsType[net.Error](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		out.Err = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case isNetwork && network.Timeout():
		out.Err = errors.New("no answer in time")
	case untrusted:
		out.Hint = "trust the server's certificate authority"
	case isNetwork, errors.Is(err, context.Canceled):
		// It says all there is to say.
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		out.Err = errors.New("the answer is cut off")
	case errors.Is(err, errTooLarge):
		out.Kind, out.Err = scalers.BadAnswer, errTooLarge
	default:
		out.Kind, out.Err = scalers.BadAnswer, fmt.Errorf("the answer cannot be read: %s", scalers.Excerpt(err.Error()))
	}
	return out
}
