package triggers_test

import (
	"context"
	"testing"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/triggers"
)

// cloud knows one scaler whose rules depend on what is usually unknown.
func cloud(t *testing.T) *scalers.Registry {
	t.Helper()
	r, err := scalers.NewRegistry(scalers.Define(scalers.Spec[struct{ host, mode, user string }, queue]{
		Type: "cloud", Summary: "Scales on a queue.", Unit: "messages",
		Target: scalers.Target{Param: "length", Activation: "activationLength", Default: 5},
		Settings: func(s *struct{ host, mode, user string }, p *param.Set) {
			var password param.Secret
			var count int64
			p.String(&s.host, "host", "Where.", param.Required, param.From(param.Auth, param.Env))
			p.String(&s.mode, "authMode", "How.", param.OneOf("none", "basic"), param.From(param.Metadata, param.Auth))
			p.String(&s.user, "user", "Who.", param.From(param.Metadata, param.Env))
			p.Secret(&password, "password", "How.", param.From(param.Auth))
			p.Int(&count, 1, 3, "count", "How many.", param.From(param.Auth))
			p.Together("user", "password")
			p.Check(func() error {
				if p.Given("user") && s.mode != "basic" {
					return param.Wrong("user", `needs authMode "basic"`)
				}
				if p.Values().Identity.Provider == "" && !p.Given("password") {
					return param.Wrong("password", "or a pod identity is needed")
				}
				return nil
			}, "authMode")
		},
		Query:      func(q *queue, p *param.Set) { p.String(&q.name, "queue", "What.", param.Required) },
		MetricName: func(_ struct{ host, mode, user string }, q queue) string { return "cloud-" + q.name },
		Open: func(context.Context, scalers.Env, struct{ host, mode, user string }) (scalers.Source[queue], error) {
			return nil, nil
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsUnknownIsNotMissing(t *testing.T) {
	t.Parallel()
	const (
		host     = "problem 0: spec.triggers[0].metadata.host: is required; set it as an authentication parameter, or through hostFromEnv, naming a variable that the workload's container sets\n"
		identity = "problem 0: spec.triggers[0].metadata.password: or a pod identity is needed\n"
		together = "problem 0: spec.triggers[0].metadata.password: is required when \"user\" is set\n"
		queued   = "problem 0: spec.triggers[0].metadata.queue: is required; set it in the trigger's metadata\n"
		mode     = "problem 0: spec.triggers[0].metadata.authMode: must be one of none, basic\n"
		basic    = "problem 0: spec.triggers[0].metadata.user: needs authMode \"basic\"\n"
		near     = "warning 0: spec.triggers[0].metadata.queu: is not known; did you mean \"queue\"?\n"
		variable = "warning 0: spec.triggers[0].metadata.hostFromEnv: names a variable that the workload's container does not set\n"
		fine     = "trigger 0: cloud \"\" s0-cloud-q AverageValue 5 false\n"
	)
	nothing := triggers.Unknown{}
	env, auth := triggers.Unknown{Env: true}, triggers.Unknown{Auth: true}
	given := func(names ...string) triggers.Unknown {
		return triggers.Unknown{Auth: true, Given: append([]string{}, names...)}
	}
	for _, tc := range []struct {
		name     string
		metadata metadata
		unknown  triggers.Unknown
		identity string
		want     string
	}{
		{"nothing is unknown", metadata{"queue": "q"}, nothing, "", host + identity},
		{"the environment, which is not asked", metadata{"queue": "q"}, env, "aws", host},
		{"the environment, which is asked", metadata{"queue": "q", "hostFromEnv": "HOST"}, env, "aws", ""},
		{"a variable that is not set", metadata{"queue": "q", "hostFromEnv": "HOST"}, nothing, "aws", host + variable},
		{"authentication hides what it may give", metadata{"queue": "q"}, auth, "", ""},
		{"and nothing else", metadata{"queu": "q", "authMode": "basic"}, auth, "", queued + near},
		{"a wrong value stays wrong", metadata{"queue": "q", "authMode": "odd"}, auth, "", mode},
		{"a rule that an unknown value may satisfy", metadata{"queue": "q", "user": "u"}, auth, "", ""},
		{"a rule that none does", metadata{"queue": "q", "user": "u", "authMode": "none"}, auth, "", basic},
		{"authentication whose names are known", metadata{"queue": "q"}, given("password", "count"), "", host},
		{"and its identity", metadata{"queue": "q"}, given("host"), "", identity},
		{"which is there", metadata{"queue": "q"}, given("host"), "gcp", ""},
		{"and a rule across", metadata{"queue": "q", "user": "u", "authMode": "basic"}, given("host"), "gcp", together},
		{"what is there in every case can be measured", metadata{"queue": "q"}, given("count"), "gcp", host},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := triggers.Input{
				Spec:    v1alpha1.Trigger{Type: "cloud", Metadata: tc.metadata},
				Values:  param.Values{Metadata: tc.metadata, Identity: param.Identity{Provider: tc.identity}},
				Unknown: tc.unknown,
			}
			if got := report(triggers.Parse(cloud(t), []triggers.Input{in})); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
			in.Values.Auth = metadata{"host": "h"}
			if tc.name == "which is there" {
				if got := report(triggers.Parse(cloud(t), []triggers.Input{in})); got != fine {
					t.Errorf("with its credentials: got\n%swant\n%s", got, fine)
				}
			}
		})
	}
}
