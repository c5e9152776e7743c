package nats_test

import (
	"fmt"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/nats"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 2, nats.Scaler) }

func TestErrorsAndWarnings(t *testing.T) {
	const unusable = `<nil> [parameter "natsServerMonitoringEndpoint" cannot be connected to; give it as host:port, without http://]`
	fromAuth := values("", "s", "c", "account", "")
	fromAuth.Auth = map[string]string{"natsServerMonitoringEndpoint": "n:8222", "account": "A"}
	for name, c := range map[string]struct {
		v    param.Values
		want string // error and warnings
	}{
		"nothing": {param.Values{}, "parameter \"account\" is required, or \"accountID\"\n" +
			"parameter \"consumer\" is required; set it in the trigger's metadata\n" +
			"parameter \"natsServerMonitoringEndpoint\" is required; set it as an authentication parameter, or in the trigger's metadata\n" +
			"parameter \"stream\" is required; set it in the trigger's metadata []"},
		"from authentication": {fromAuth, "<nil> []"},
		"a host alone":        {values("n", "s", "c"), "<nil> []"},
		"IPv6":                {values("[::1]:8222", "s", "c"), "<nil> []"},
		"a URL":               {values("http://n:8222", "s", "c"), unusable},
		"a path":              {values("n:8222/x", "s", "c"), unusable},
		"a user":              {values("u:p@n:8222", "s", "c"), unusable},
		"a port in words":     {values("n:http", "s", "c"), unusable},
		"half a lag":          {values("n:1", "s", "c", "lagThreshold", "1.5"), `parameter "lagThreshold" must be a whole number, written with digits only []`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := nats.Scaler.Parse(c.v)
			if got := fmt.Sprint(err, " ", warnings); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAnEndpointThatCannotBeUsed(t *testing.T) {
	trigger := parse(t, values("http://u:c4n4ry@n:8222", "s", "c"))
	_, err := trigger.Source.Open(t.Context(), scalers.Env{})
	want := `connecting to NATS: the address cannot be used; write "natsServerMonitoringEndpoint" as host:port`
	if scalers.KindOf(err) != scalers.Invalid || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestWhatIsSharedAndWhatIsNot(t *testing.T) {
	a := values("n:8222", "s", "c")
	for name, c := range map[string]struct {
		b                     param.Values
		sameSource, sameQuery bool
	}{
		"another target":      {values("n:8222", "s", "c", "lagThreshold", "3", "activationLagThreshold", "1"), true, true},
		"the same identifier": {values("n:8222", "s", "c", "accountID", "SHOP"), true, true},
		"another account":     {values("n:8222", "s", "c", "account", "A"), true, false},
		"another stream":      {values("n:8222", "x", "c"), true, false},
		"another server":      {values("m:8222", "s", "c"), false, true},
		"by TLS":              {values("n:8222", "s", "c", "useHttps", "true"), false, true},
	} {
		x, y := parse(t, a), parse(t, c.b)
		if got := x.Source == y.Source; got != c.sameSource {
			t.Errorf("%s: same source: %v, want %v", name, got, c.sameSource)
		}
		// Queries hold their source.
		if got := x.Query == y.Query; got != (c.sameSource && c.sameQuery) {
			t.Errorf("%s: same query: %v", name, got)
		}
	}
}
