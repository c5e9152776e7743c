// Package azstorage holds what scalers on Azure storage accounts share:
// connection strings, the parameters that say where an account is, clients, and
// hints for what the service refuses.
package azstorage

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Settings are where a service of an account is and as whom to connect. They are
// comparable. Either Connection is set, or Host and Identity are.
type Settings struct {
	Connection param.Secret // connection string
	Host       string       // such as "jobs.queue.core.windows.net"
	Identity   azureauth.Identity
}

// Client is what the SDK's clients of one source share. Close it.
type Client struct {
	Endpoint
	// Credential is nil where the endpoint has a key or a signature.
	Credential azcore.TokenCredential
	// Options make the SDK's requests go through the process's HTTP client.
	Options azcore.ClientOptions

	transport *azureauth.Transport
}

// Open prepares a client of a service that makes as many requests as parallel at a
// time. Nothing is sent. The error is of kind Invalid when connection string or
// identity cannot be used.
func (s Settings) Open(env scalers.Env, service Service, parallel int) (*Client, error) {
	transport := azureauth.NewTransport(env, parallel)
	c := &Client{transport: transport, Options: transport.Options(env)}
	var err error
	if s.Identity.IsZero() {
		c.Endpoint, err = Parse(s.Connection.Reveal(), service)
		if err != nil {
			return nil, &scalers.Error{
				Kind: scalers.Invalid, Op: "reading the storage connection string", Err: err,
				Hint: "copy it from the account's access keys",
			}
		}
		return c, nil
	}
	c.URL = "https://" + s.Host + "/"
	if u, err := url.Parse(c.URL); err != nil || u.Host != s.Host {
		return nil, &scalers.Error{
			Kind: scalers.Invalid, Op: "finding the storage account", Err: errors.New("its name and suffix make no host name"),
			Hint: "correct the account's name and the suffix of the cloud",
		}
	}
	if err := s.Identity.MayReach(s.Host, azureauth.Everywhere(func(c azureauth.Cloud) string { return c.Storage })...); err != nil {
		return nil, err
	}
	c.Credential, err = s.Identity.Credential(env)
	return c, err
}

// Close closes idle connections.
func (c *Client) Close() error { return c.transport.Close() }

// Failed makes the error of op from what a client of the SDK returned. See
// azureauth.Failed.
func Failed(op string, err error) *scalers.Error {
	e, ok := errors.AsType[*scalers.Error](azureauth.Failed(op, err))
	if !ok || e.Hint != "" {
		return e
	}
	answer, ok := errors.AsType[*azureauth.StatusError](e)
	if !ok {
		return e
	}
	switch code := answer.Code; {
	case answer.Status == http.StatusNotFound:
		e.Hint = "create it, or correct its name"
	case code == "AuthorizationPermissionMismatch", code == "AuthorizationFailure":
		e.Hint = "grant what the scaler's page lists under permissions, and let this network through the account's firewall"
	case code == "KeyBasedAuthenticationNotPermitted":
		e.Hint = "the account forbids keys; use a workload identity"
	case e.Kind == scalers.Unauthorized:
		e.Hint = "check the key or signature in the connection string, and that the signature has not expired"
	case code == "InvalidResourceName", code == "OutOfRangeInput", code == "InvalidUri":
		e.Kind, e.Hint = scalers.Invalid, "correct the name: Azure allows lower-case letters, digits and single dashes"
	}
	return e
}
