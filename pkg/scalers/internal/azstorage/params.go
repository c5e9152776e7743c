package azstorage

import (
	"strings"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Bind declares the parameters of a scaler whose only upstream is the given
// service of an account: connection, accountName, cloud and endpointSuffix.
// Connection is read from places, in their order.
func (s *Settings) Bind(p *param.Set, service Service, places ...param.Place) {
	var account, cloud, suffix string
	var connection param.Secret
	p.Secret(&connection, "connection", "Connection string of the storage account. Not needed with the identity azure-workload.", param.From(places...))
	p.String(&account, "accountName", "Name of the storage account. Needed with the identity azure-workload, and used with it alone.")
	azureauth.BindCloud(&cloud, p)
	p.String(&suffix, "endpointSuffix",
		"What hosts of a private cloud end in, after the account's name: such as `"+string(service)+".storage.example`. Used when `cloud` is Private.")
	p.Check(func() error {
		host, err := azureauth.Suffix(cloud, suffix, "endpointSuffix", func(c azureauth.Cloud) string { return string(service) + "." + c.Storage })
		if err != nil {
			return err
		}
		return s.complete(p, service, connection, account, host)
	}, "connection", "accountName", "cloud", "endpointSuffix")
}

// complete decides between connection string and identity.
func (s *Settings) complete(p *param.Set, service Service, connection param.Secret, account, suffix string) error {
	v := p.Values()
	switch v.Identity.Provider {
	case azureauth.Workload:
		if account == "" {
			return param.Wrong("accountName", "is required with the identity %s", azureauth.Workload)
		}
		if !connection.IsZero() {
			p.Warn("connection", "is ignored with the identity %s", azureauth.Workload)
		}
		s.Host, s.Identity = account+"."+suffix, azureauth.OfWorkload(v)
		return nil
	case "", "none":
		if service == Blob && connection.IsZero() {
			// As it always was: the name of a variable without a value counts as the
			// connection string, and fails when it is used.
			connection = param.NewSecret(unresolved(v, "connection"))
		}
		if connection.IsZero() {
			return param.Wrong("connection", "is required without an identity; give the connection string of the storage account")
		}
		s.Connection = connection
		CheckConnection(p, "connection", connection, service)
		return nil
	}
	return param.Wrong("", "the pod identity must be %s, or none", azureauth.Workload)
}

// CheckConnection warns when a connection string cannot be used.
func CheckConnection(p *param.Set, name string, connection param.Secret, service Service) {
	if _, err := Parse(connection.Reveal(), service); err != nil {
		p.Warn(name, "cannot be used: %v", err)
	}
}

// unresolved returns the name of the environment variable that a parameter was to
// be read from, when the variable has no value.
func unresolved(v param.Values, name string) string {
	variable := strings.TrimSpace(v.Metadata[name+"FromEnv"])
	if strings.TrimSpace(v.Env[variable]) != "" {
		return ""
	}
	return variable
}
