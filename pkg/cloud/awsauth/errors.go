package awsauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/weir-sh/weir/pkg/scalers"
)

// Failed makes a *scalers.Error of what a client returned. Op says what was tried
// and begins the text. Permission is what the identity must be allowed, such as
// "sqs:GetQueueAttributes on the queue"; empty when there is nothing to allow.
// Nothing that AWS wrote is repeated but the error's code: its sentences quote
// requests, and those of a wrong signature quote the session token.
func Failed(op string, err error, permission string) *scalers.Error {
	e := &scalers.Error{Op: op}
	c, isCredentials := errors.AsType[*credentialsError](err)
	switch code := Code(err); {
	case isCredentials && c.none():
		e.Kind, e.Err = scalers.Unauthorized, errors.New("the SDK finds none")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.Kind, e.Err = scalers.Unreachable, errors.New("no answer in time")
	case code != "":
		e.Kind = kindOf(code, statusOf(err))
		e.Err, e.Hint = errors.New("AWS answered "+code), hintFor(code, e.Kind, permission)
		e.RetryAfter = retryAfter(err)
	default:
		broken(e, err)
	}
	if isCredentials {
		c.explain(e)
	}
	return e
}

// none reports whether the default chain came to its end, which is the metadata
// service of EC2, and found nothing there either.
func (c *credentialsError) none() bool {
	op, ok := errors.AsType[*smithy.OperationError](c.err)
	return ok && op.ServiceID == imds.ServiceID
}

// explain says of an error that it concerns the credentials.
func (c *credentialsError) explain(e *scalers.Error) {
	what, hint := "getting Weir's own AWS credentials", "give Weir an identity by EKS Pod Identity or a service account's role, or give the trigger keys of its own"
	if c.role {
		what, hint = "assuming the role", "let the role's trust policy name Weir's identity, and check the external id"
	}
	switch e.Kind {
	case scalers.Throttled:
		return
	case scalers.Unreachable:
		hint = ""
	default:
		e.Kind = scalers.Unauthorized
	}
	e.Err, e.Hint = fmt.Errorf("%s: %w", what, e.Err), hint
}

// Code returns the code of the error that AWS answered, such as "AccessDenied",
// or "" when err is no answer of AWS. UnknownError is what the SDK says then.
func Code(err error) string {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || api.ErrorCode() == "UnknownError" {
		return ""
	}
	code := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.' || r == '_' {
			return r
		}
		return -1
	}, api.ErrorCode())
	if code == "" {
		return "an error without a code"
	}
	return scalers.Excerpt(code)
}

// throttled reports whether AWS asked for less.
func throttled(err error) bool {
	return statusOf(err) == http.StatusTooManyRequests || isThrottle(Code(err))
}

func isThrottle(code string) bool {
	_, ok := retry.DefaultThrottleErrorCodes[code]
	return ok || strings.HasSuffix(code, ".RequestThrottled") || code == "OverLimit"
}

// kindOf gives a code its kind. Services that speak JSON or CBOR answer nearly
// all errors with status 400, so that the code says more than the status.
func kindOf(code string, status int) scalers.Kind {
	contains := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(code, p) })
	}
	switch {
	case isThrottle(code) || status == http.StatusTooManyRequests:
		return scalers.Throttled
	case contains("AccessDenied", "Unauthorized", "NotAuthorized", "UnrecognizedClient", "InvalidClientTokenId", "InvalidAccessKeyId", "Signature",
		"ExpiredToken", "RequestExpired", "InvalidToken", "InvalidIdentityToken", "MissingAuthenticationToken", "AuthFailure", "OptInRequired", "InvalidSecurity"):
		return scalers.Unauthorized
	case contains("NotFound", "NonExistent", "DoesNotExist"):
		return scalers.NotFound
	case contains("Validation", "InvalidParameter", "MissingParameter", "InvalidRequest", "InvalidAddress", "InvalidArgument", "InvalidFormat", "InvalidAttribute"):
		return scalers.Invalid
	case status >= http.StatusInternalServerError:
		return scalers.Unreachable
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return scalers.Unauthorized
	}
	return scalers.BadAnswer
}

// hintFor says what to do about a code.
func hintFor(code string, kind scalers.Kind, permission string) string {
	switch {
	case kind != scalers.Unauthorized:
		return ""
	case strings.Contains(code, "Expired"):
		return "renew the session token, and check Weir's clock"
	case strings.Contains(code, "Denied") || strings.Contains(code, "Authorized") || strings.Contains(code, "Unauthorized"):
		if permission == "" {
			return ""
		}
		return "allow the identity " + permission
	}
	return "check the access key, its secret, the session token and the region"
}

// broken explains in e an error that is no answer of AWS.
func broken(e *scalers.Error, err error) {
	const endpoint = "check that the endpoint is that of the service"
	sent, isSent := errors.AsType[*smithyhttp.RequestSendError](err)
	status := statusOf(err)
	switch {
	case errors.Is(err, errTooLarge):
		e.Kind, e.Err, e.Hint = scalers.BadAnswer, errTooLarge, endpoint
	case isSent:
		e.Kind, e.Err = scalers.Unreachable, sent.Err
		if u, ok := errors.AsType[*url.Error](sent.Err); ok {
			e.Err = u.Err // its text holds the address
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			e.Hint = "trust the server's certificate authority"
		}
	case status >= http.StatusInternalServerError:
		e.Kind, e.Err = scalers.Unreachable, fmt.Errorf("status %d %s", status, http.StatusText(status))
	case status != 0:
		e.Kind, e.Err, e.Hint = scalers.BadAnswer, fmt.Errorf("the answer with status %d is none of AWS", status), endpoint
	default:
		e.Kind, e.Err, e.Hint = scalers.Invalid, errors.New("the request cannot be made"), "check the region and the endpoint"
	}
}

// statusOf returns the HTTP status of an answer, or 0.
func statusOf(err error) int {
	if resp, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && resp.Response != nil {
		return resp.HTTPStatusCode()
	}
	return 0
}

// retryAfter reads the header of that name, in seconds; at most an hour.
func retryAfter(err error) time.Duration {
	resp, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || resp.Response == nil {
		return 0
	}
	seconds, err := strconv.Atoi(resp.Response.Header.Get("Retry-After"))
	if err != nil {
		return 0
	}
	return time.Duration(min(max(0, seconds), 3600)) * time.Second
}
