package prometheus_test

import (
	"fmt"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/prometheus"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 20, prometheus.Scaler) }

const address = "http://p:9090"

func TestRefusedParameters(t *testing.T) {
	const list = ` must be a list of name=value, separated by commas, with one equals sign each`
	identity := values(address, kv{"bearerToken": "t"}, "authModes", "bearer")
	identity.Identity.Provider = "aws"
	for name, c := range map[string]struct {
		v    param.Values
		want string // all errors, one a line
	}{
		"nothing":                        {param.Values{}, "parameter \"query\" is required; set it in the trigger's metadata\nparameter \"serverAddress\" is required; set it in the trigger's metadata\nparameter \"threshold\" is required; set it in the trigger's metadata"},
		"headers without values":         {values(address, nil, "customHeaders", "A=1,B"), `parameter "customHeaders"` + list},
		"parameters with too many signs": {values(address, nil, "queryParameters", "a=b=c"), `parameter "queryParameters"` + list},
		"identity and modes":             {identity, `parameter "authModes" cannot be combined with a pod identity; keep one of them`},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := prometheus.Scaler.Parse(c.v)
			if got := fmt.Sprint(err); got != c.want {
				t.Errorf("error %s\nwant  %s", got, c.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	safe := func(pairs ...string) param.Values {
		return values(address, nil, append(pairs, "ignoreNullValues", "false")...)
	}
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"nothing to say":         {safe(), "[]"},
		"several lines":          {safe("query", "sum(\n  jobs\n)"), "[]"},
		"the default":            {values(address, nil), `[parameter "ignoreNullValues" reads a result that is missing as no work; set it to "false" unless empty means zero]`},
		"an unusable address":    {safe("serverAddress", "p:9090"), `[parameter "serverAddress" cannot be asked: it must begin with http:// or https:// and have reserved characters percent-encoded]`},
		"headers HTTP forbids":   {safe("customHeaders", "a b=1"), `[parameter "customHeaders" cannot be sent: HTTP does not allow some of its characters]`},
		"a name of the metric":   {safe("metricName", "x"), `[parameter "metricName" is deprecated; remove it: the metric is named prometheus]`},
		"a password in the open": {safe("serverAddress", "http://u:p@p:9090"), `[parameter "serverAddress" holds a password in plain text; use authModes "basic" and an authentication object]`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := prometheus.Scaler.Parse(c.v)
			if got := fmt.Sprint(warnings); err != nil || got != c.want {
				t.Errorf("warnings %s, %v\nwant     %s", got, err, c.want)
			}
		})
	}
}

func TestWhoSharesASource(t *testing.T) {
	base := parse(t, values(address, nil))
	for name, c := range map[string]struct {
		v             param.Values
		source, query bool // are equal to base's
	}{
		"another threshold":   {values(address, nil, "threshold", "9", "activationThreshold", "3"), true, true},
		"another query":       {values(address, nil, "query", "r"), true, false},
		"another path":        {values(address+"/tenant", nil), true, false},
		"another tenant":      {values(address, nil, "customHeaders", "X-Scope-OrgID=b"), true, false},
		"null is an error":    {values(address, nil, "ignoreNullValues", "false"), true, false},
		"unused credentials":  {values(address, kv{"bearerToken": "t", "password": "p"}), true, true},
		"another server":      {values("http://r:9090", nil), false, false},
		"another timeout":     {values(address, nil, "timeout", "1s"), false, false},
		"credentials":         {values(address, kv{"bearerToken": "t"}, "authModes", "bearer"), false, false},
		"another authority":   {values(address, kv{"ca": "x"}), false, false},
		"any certificate":     {values(address, nil, "unsafeSsl", "true"), false, false},
		"a password in place": {values("http://u:p@p:9090", nil), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			other := parse(t, c.v)
			if got := other.Source == base.Source; got != c.source {
				t.Errorf("shares the source: %v", got)
			}
			if got := other.Query == base.Query; got != c.query {
				t.Errorf("is the same query: %v", got)
			}
		})
	}
}

func TestAnUnusableAddressCannotBeOpened(t *testing.T) {
	_, err := parse(t, values("p:9090", nil)).Source.Open(t.Context(), scalers.Env{})
	const want = "preparing requests: the address cannot be used; begin it with http:// or https://, and percent-encode reserved characters"
	if fmt.Sprint(err) != want || scalers.KindOf(err) != scalers.Invalid {
		t.Errorf("got %v", err)
	}
}
