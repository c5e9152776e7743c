// Package azureservicebus measures queues and topic subscriptions of Azure Service
// Bus through the management endpoint of their namespace: how many messages are
// active. It never opens a receiver, so that it takes nothing and is not counted
// as a consumer.
package azureservicebus

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/weir-sh/weir/pkg/cloud/azureauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler measures Service Bus queues and topic subscriptions.
var Scaler = scalers.Define(scalers.Spec[settings, query]{
	Type:     "azure-servicebus",
	Summary:  "Scales on the number of active messages in Azure Service Bus queues or topic subscriptions.",
	Unit:     "messages",
	Settings: (*settings).bind,
	Query:    (*query).bind,
	Target: scalers.Target{
		Param: "messageCount", Default: 5, Activation: "activationMessageCount", Whole: true,
		Doc: "How many active messages one replica should carry.",
	},
	MetricName: metricName,
	Open:       open,
	Page:       page(),
	Examples:   examples(),
})

// settings are a namespace and as whom to ask it: one of a connection string, and
// a host with an identity.
type settings struct {
	connection param.Secret
	host       string
	identity   azureauth.Identity
}

func (s *settings) bind(p *param.Set) {
	var namespace, cloud, suffix string
	p.Secret(&s.connection, "connection", "Connection string of the namespace, with a key that has the claim Manage. "+
		"With UseDevelopmentEmulator=true the endpoint is spoken to in plain HTTP.", param.From(param.Auth, param.Env))
	p.String(&namespace, "namespace", "Name of the namespace, without its suffix. Used and required with a pod identity.")
	azureauth.BindCloud(&cloud, p)
	p.String(&suffix, "endpointSuffix", "Suffix of the namespace's host when cloud is Private.")
	p.Check(func() error {
		switch identity := p.Values().Identity.Provider; identity {
		case "", "none":
			s.warn(p)
			return s.connected()
		case azureauth.Workload:
			s.connection, s.identity = param.Secret{}, azureauth.OfWorkload(p.Values())
			if p.Given("connection") {
				p.Warn("connection", "is not used with a pod identity; remove one of them")
			}
			var err error
			s.host, err = host(namespace, cloud, suffix)
			return err
		}
		return param.Wrong("", "podIdentity must be %s, or none together with a connection string", azureauth.Workload)
	}, "connection", "namespace", "cloud", "endpointSuffix")
}

// connected checks that there is a connection string. What it holds is looked at
// when it is used.
func (s *settings) connected() error {
	if s.connection.IsZero() {
		return param.Wrong("connection", "is required without a pod identity; set it as an authentication parameter, "+
			"or through connectionFromEnv, naming a variable that the workload's container sets")
	}
	return nil
}

// warn tells of what has no effect, or cannot work, with a connection string.
func (s *settings) warn(p *param.Set) {
	for _, name := range []string{"namespace", "cloud", "endpointSuffix"} {
		if p.Given(name) {
			p.Warn(name, "has no effect without a pod identity: the connection string says the host")
		}
	}
	if _, ok := endpoint(s.connection); !s.connection.IsZero() && !ok {
		p.Warn("connection", "is not a connection string with an Endpoint, and will not connect")
	}
}

// host makes the host of a namespace in a cloud. It refuses what would send the
// identity's token to a host that is not below the suffix.
func host(namespace, cloud, suffix string) (string, error) {
	var errs []error
	switch {
	case namespace == "":
		errs = append(errs, param.Wrong("namespace", "is required with a pod identity"))
	case !hostname(namespace):
		errs = append(errs, param.Wrong("namespace", "must be the name of a namespace: letters, digits and dashes"))
	}
	end, err := azureauth.Suffix(cloud, suffix, "endpointSuffix", func(c azureauth.Cloud) string { return c.ServiceBus })
	switch name, port, _ := strings.Cut(end, ":"); {
	case err != nil:
		errs = append(errs, err)
	case !hostname(name), !digits(port):
		errs = append(errs, param.Wrong("endpointSuffix", `must be what a host ends with, such as "servicebus.example.com"`))
	}
	return namespace + "." + end, errors.Join(errs...)
}

// hostname reports whether s holds nothing that ends a host in an address.
func hostname(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// endpoint returns the host of a connection string when that is an emulator's, and
// otherwise "". It is not ok when the string has no endpoint, or is no list of
// names and values.
func endpoint(connection param.Secret) (emulator string, ok bool) {
	at, plain := "", false
	for part := range strings.SplitSeq(connection.Reveal(), ";") {
		name, value, found := strings.Cut(part, "=")
		switch {
		case !found && part != "":
			return "", false
		case strings.EqualFold(name, "Endpoint"):
			u, err := url.Parse(value)
			if err != nil || u.User != nil {
				return "", false
			}
			at = u.Host
		case strings.EqualFold(name, "UseDevelopmentEmulator"):
			var err error
			if plain, err = strconv.ParseBool(value); err != nil {
				return "", false
			}
		}
	}
	if !plain {
		return "", at != ""
	}
	return at, at != ""
}

// open prepares the namespace's client. It asks nobody: what the namespace thinks
// of the credentials is learned by the first Fetch.
func open(_ context.Context, env scalers.Env, s settings) (scalers.Source[query], error) {
	c, err := newClient(env, s)
	if err != nil {
		return nil, err
	}
	return &source{client: c, sizes: map[string]size{}}, nil
}
