package nats_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/nats"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

func TestVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		ID, Expect, MetricName, Target, Note string
		TriggerIndex                         int
		Metadata, AuthParams                 map[string]string
	}
	if err := json.Unmarshal(raw, &rows); err != nil || len(rows) < 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		t.Run(r.ID+" "+r.Note, func(t *testing.T) {
			trigger, _, err := nats.Scaler.Parse(param.Values{Metadata: r.Metadata, Auth: r.AuthParams})
			if (err == nil) != (r.Expect == "ok") {
				t.Fatalf("error %v, want %s", err, r.Expect)
			}
			if err != nil {
				return
			}
			if name, target := trigger.MetricName(r.TriggerIndex), fmt.Sprint(trigger.Target); name != r.MetricName || target != r.Target {
				t.Errorf("%s target %s, want %s target %s", name, target, r.MetricName, r.Target)
			}
		})
	}
}

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
