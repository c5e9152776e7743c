package external_test

import (
	"fmt"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/external"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 5, external.Scalers()...) }

// with returns v with authentication parameters.
func with(v param.Values, auth ...string) param.Values {
	v.Auth = map[string]string{}
	for i := 0; i < len(auth); i += 2 {
		v.Auth[auth[i]] = auth[i+1]
	}
	return v
}

func TestErrorsAndWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		v    param.Values
		want string // error and warnings
	}{
		"anything may be handed on":     {values("s:1", "scalerAdress", "x", "anything", "y"), "<nil> []"},
		"another case":                  {values("s:1", "enableTls", "x"), `<nil> [parameter "enableTls" is not known; did you mean "enableTLS"?]`},
		"no address":                    {values(""), `parameter "scalerAddress" is required; set it in the trigger's metadata []`},
		"address from the environment":  {values("", "scalerAddressFromEnv", "S"), `parameter "scalerAddress" is required; set it in the trigger's metadata [parameter "scalerAddressFromEnv" is ignored: "scalerAddress" is not read from the environment; set it in the trigger's metadata parameter "scalerAddressFromEnv" names a variable that the workload's container does not set; it is not handed on]`},
		"no truth value":                {values("s:1", "enableTLS", "maybe"), `parameter "enableTLS" must be "true" or "false" []`},
		"a socket":                      {values("unix:///run/x"), `<nil> [parameter "scalerAddress" cannot be connected to; give it as host:port]`},
		"a variable that is missing":    {values("s:1", "xFromEnv", "X"), `<nil> [parameter "xFromEnv" names a variable that the workload's container does not set; it is not handed on]`},
		"a certificate in metadata":     {values("s:1", "caCert", "x"), `<nil> [parameter "caCert" is ignored in metadata; set it as an authentication parameter]`},
		"a certificate without its key": {with(values("s:1"), "tlsClientCert", "x"), `<nil> [parameter "tlsClientCert" has no effect without "tlsClientKey"]`},
		"a key without its certificate": {with(values("s:1"), "tlsClientKey", "x"), `<nil> [parameter "tlsClientKey" has no effect without "tlsClientCert"]`},
		"no verification":               {values("s:1", "enableTLS", "true", "unsafeSsl", "true"), `<nil> [parameter "unsafeSsl" accepts any certificate: whoever is on the way can read and change the traffic; give the authority as caCert instead]`},
		"no verification of plain text": {values("s:1", "unsafeSsl", "true"), `<nil> [parameter "unsafeSsl" has no effect without "enableTLS"]`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := definition(t, "external").Parse(c.v)
			if got := fmt.Sprint(err, " ", warnings); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatIsSharedAndWhatIsNot(t *testing.T) {
	other := values("s:1")
	other.Name = "another"
	fromEnv := func(value string) param.Values {
		v := values("s:1", "xFromEnv", "X")
		v.Env = map[string]string{"X": value}
		return v
	}
	d := definition(t, "external")
	for name, c := range map[string]struct {
		a, b                  param.Values
		sameSource, sameQuery bool
	}{
		"the same":                     {values("s:1"), values("s:1"), true, true},
		"another address":              {values("s:1"), values("s:2"), false, false},
		"another object":               {values("s:1"), other, true, false},
		"other metadata":               {values("s:1", "a", "1"), values("s:1", "a", "2"), true, false},
		"another environment":          {fromEnv("1"), fromEnv("2"), true, false},
		"authentication has no effect": {values("s:1"), with(values("s:1"), "extra", "x", "tlsClientKey", "x"), true, true},
		"another authority":            {with(values("s:1"), "caCert", "x"), with(values("s:1"), "caCert", "y"), false, false},
		"TLS is implied":               {with(values("s:1"), "caCert", "x"), with(values("s:1", "enableTLS", "true"), "caCert", "x"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			x, _, err := d.Parse(c.a)
			y, _, again := d.Parse(c.b)
			if err != nil || again != nil {
				t.Fatal(err, again)
			}
			if got := x.Source == y.Source; got != c.sameSource {
				t.Errorf("same source: %v, want %v", got, c.sameSource)
			}
			if got := x.Query == y.Query; got != c.sameQuery {
				t.Errorf("same query: %v, want %v", got, c.sameQuery)
			}
		})
	}
}

func TestAnAddressThatCannotBeUsed(t *testing.T) {
	_, err := parse(t, "external", values("unix:///run/x")).Source.Open(t.Context(), scalers.Env{})
	want := "preparing the gRPC connection: the address cannot be used; give the address as host:port"
	if scalers.KindOf(err) != scalers.Invalid || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
