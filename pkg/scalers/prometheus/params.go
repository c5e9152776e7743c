package prometheus

import (
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/httpauth"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// settings say which server to ask and as whom.
type settings struct {
	http  httpauth.Settings
	cloud managed
}

// query says what to measure.
type query struct {
	request

	ignoreNull bool // an empty or unusable result is 0, not an error
}

// request is all that the server is told. Headers and parameters tell tenants
// apart and may hold tokens, so that they are not shown.
type request struct {
	path      httpauth.Path
	promQL    string
	namespace string
	params    param.Secret // names and values in turn, joined by NUL
	headers   param.Secret // likewise
}

const address = "serverAddress"

// bind implements Spec.Settings.
func (s *settings) bind(p *param.Set) {
	s.http.Bind(p, address, "Address of the server, with the path that comes before /api/v1.")
	p.Check(func() error {
		if provider := p.Values().Identity.Provider; p.Given("authModes") && provider != "" && provider != "none" {
			return param.Wrong("authModes", "cannot be combined with a pod identity; keep one of them")
		}
		return nil
	}, "authModes")
	s.cloud.bind(p)
}

// bind implements Spec.Query.
func (q *query) bind(p *param.Set) {
	var headers, params param.List
	q.path.Bind(p, address)
	q.ignoreNull = true
	p.Text(&q.promQL, "query", "PromQL query whose result is a vector with one sample.", param.Required)
	p.String(&q.namespace, "namespace", "Sent as the query parameter `namespace`, which proxies that separate tenants ask for.")
	p.List(&headers, "customHeaders", "Headers to send: `name=value`, separated by commas.")
	p.List(&params, "queryParameters", "Query parameters to send: `name=value`, separated by commas.")
	p.Bool(&q.ignoreNull, "ignoreNullValues", "Whether an empty result, NaN and infinity count as 0. By default a query that finds nothing, for example as its exporter is down, looks like no work; \"false\" makes it an error, which changes nothing until there is a value again.")
	p.Check(func() (err error) {
		q.params, err = pairs("queryParameters", params)
		return err
	}, "queryParameters")
	p.Check(func() (err error) {
		q.headers, err = pairs("customHeaders", headers)
		if err == nil && !q.sendable() {
			p.Warn("customHeaders", "cannot be sent: HTTP does not allow some of its characters")
		}
		return err
	}, "customHeaders")
	p.Check(func() error {
		if q.ignoreNull {
			p.Warn("ignoreNullValues", `reads a result that is missing as no work; set it to "false" unless empty means zero`)
		}
		return nil
	}, "ignoreNullValues")
	var ignored string
	p.String(&ignored, "metricName", "Has no effect.", param.Deprecated("remove it: the metric is named prometheus"))
}

// pairs takes a list of name=value apart.
func pairs(name string, list param.List) (param.Secret, error) {
	var out []string
	for _, item := range list.Items() {
		k, v, ok := strings.Cut(item, "=")
		if !ok || strings.Contains(v, "=") {
			return param.Secret{}, param.Wrong(name, "must be a list of name=value, separated by commas, with one equals sign each")
		}
		out = append(out, strings.TrimSpace(k), strings.TrimSpace(v))
	}
	return param.NewSecret(strings.Join(out, "\x00")), nil
}

// apart is the opposite of pairs.
func apart(joined param.Secret) []string {
	if joined.IsZero() {
		return nil
	}
	return strings.Split(joined.Reveal(), "\x00")
}

// sendable reports whether HTTP allows the headers.
func (r request) sendable() bool {
	for pair := range slices.Chunk(apart(r.headers), 2) {
		if !httpguts.ValidHeaderFieldName(pair[0]) || !httpguts.ValidHeaderFieldValue(pair[1]) {
			return false
		}
	}
	return true
}

// bindThresholds implements Spec.Thresholds.
func bindThresholds(_ *query, th *scalers.Thresholds, p *param.Set) {
	p.Float(&th.Target, "threshold", "How much of the result one replica should carry.", param.Required)
	p.Float(&th.Activation, "activationThreshold", "How much is not yet work: the workload wakes from zero above this.")
	p.Check(func() error {
		th.Target = max(0, th.Target) // a target below zero has always been zero
		return nil
	}, "threshold")
}
