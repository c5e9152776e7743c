// Package gcpmonitoring scales on metrics of Google Cloud Monitoring: on those of
// Pub/Sub subscriptions and topics, or on any that a filter selects.
//
// A source is one connection under one identity. Pub/Sub triggers of a project
// that want the same metric are read with one ListTimeSeries call per 100 names;
// a filter of the user's own is never put together with another.
package gcpmonitoring

import (
	"github.com/weir-sh/weir/pkg/cloud/gcpauth"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scalers returns the scaler types gcp-pubsub and gcp-stackdriver.
func Scalers() []*scalers.Definition {
	return []*scalers.Definition{pubsub(), stackdriver()}
}

// settings are where Cloud Monitoring is and as whom to ask it.
type settings struct {
	auth     gcpauth.Settings
	endpoint gcpauth.Endpoint
}

// bind implements Spec.Settings.
func (s *settings) bind(p *param.Set) {
	s.endpoint.Address = "monitoring.googleapis.com:443"
	s.auth.Bind(p)
	s.endpoint.BindEndpoint(p, "monitoringEndpoint", "Where Cloud Monitoring is, as `host:port`, instead of `monitoring.googleapis.com:443`: a private endpoint. With podIdentity gcp it must be below `googleapis.com`. `http://host:port` is an emulator, which gets no credentials.", &s.auth)
}

// ifNull is what to report when there is no time series.
type ifNull struct {
	value float64
	given bool // without it there is an error
}

// bind declares the parameter.
func (n *ifNull) bind(p *param.Set) {
	p.Float(&n.value, "valueIfNull", "What to report when there is no time series. Without it that is an error, which keeps replicas as they are.",
		func(i *param.Info) { i.Default = "" })
	p.Check(func() error {
		if n.given = p.Given("valueIfNull"); n.given {
			n.value = max(0, n.value) // below zero has always been zero
			p.Warn("valueIfNull", "is reported for whatever gives no time series: a name that is wrong, metrics that are late; leave it out to keep replicas as they are then")
		}
		return nil
	}, "valueIfNull")
}
