package rabbitmq_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/rabbitmq"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

func TestVectors(t *testing.T) { scalertest.KnownAnswers(t, 25, rabbitmq.Scaler) }

// values are those of a trigger on queue "orders".
func values(auth map[string]string, metadata ...string) param.Values {
	v := param.Values{Metadata: map[string]string{"queueName": "orders"}, Auth: auth}
	for i := 0; i < len(metadata); i += 2 {
		v.Metadata[metadata[i]] = metadata[i+1]
	}
	return v
}

const (
	amqpHost = "amqp://mq:5672/"
	httpHost = "http://mq:15672/"
)

func TestRefusedParameters(t *testing.T) {
	oauth := map[string]string{"oauthTokenURI": "https://t/", "clientID": "c", "clientSecret": "s"}
	with := func(more ...string) map[string]string {
		m := maps.Clone(oauth)
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	for name, c := range map[string]struct {
		v    param.Values
		want string // all errors, one a line
	}{
		"no scheme":                      {values(nil, "host", "mq:5672"), `parameter "host" must begin with amqp://, amqps://, http:// or https://, and have reserved characters of the user name and password percent-encoded; or "protocol" must say which one it is`},
		"another scheme":                 {values(nil, "host", "mqtt://mq"), `parameter "host" must begin with amqp://, amqps://, http:// or https://, and have reserved characters of the user name and password percent-encoded; or "protocol" must say which one it is`},
		"password with a slash":          {values(nil, "host", "amqp://u:p/w@mq"), `parameter "host" must begin with amqp://, amqps://, http:// or https://, and have reserved characters of the user name and password percent-encoded; or "protocol" must say which one it is`},
		"protocol in another case":       {values(nil, "host", amqpHost, "protocol", "AMQP"), `parameter "protocol" must be one of auto, amqp, http`},
		"tls":                            {values(map[string]string{"tls": "on"}, "host", amqpHost), `parameter "tls" must be one of enable, disable`},
		"page size":                      {values(nil, "host", amqpHost, "pageSize", "0"), `parameter "pageSize" must be a whole number of at least 1`},
		"password alone":                 {values(map[string]string{"password": "p"}, "host", amqpHost), `parameter "username" is required when "password" is set`},
		"key alone":                      {values(map[string]string{"key": "p"}, "host", amqpHost), `parameter "cert" is required when "key" is set`},
		"regex over AMQP":                {values(nil, "host", amqpHost, "useRegex", "true"), `parameter "useRegex" needs the management API; give its http address`},
		"unacknowledged over AMQP":       {values(nil, "host", amqpHost, "excludeUnacknowledged", "true"), `parameter "excludeUnacknowledged" needs the management API; over AMQP unacknowledged messages are never counted`},
		"rates over AMQP":                {values(nil, "host", amqpHost, "mode", "DeliverGetRate", "value", "1"), `parameter "mode" needs the management API except for QueueLength; give its http address`},
		"value without mode":             {values(nil, "host", amqpHost, "value", "1"), `parameter "mode" is required when "value" is set`},
		"mode without value":             {values(nil, "host", amqpHost, "mode", "QueueLength"), `parameter "value" is required when "mode" is set, and must not be zero`},
		"unknown mode":                   {values(nil, "host", amqpHost, "mode", "queueLength", "value", "1"), `parameter "mode" must be one of QueueLength, MessageRate, DeliverGetRate, PublishedToDeliveredRatio, ExpectedQueueConsumptionTime`},
		"old and new target":             {values(nil, "host", amqpHost, "value", "1", "queueLength", "2"), `parameter "queueLength" cannot be combined with "mode" and "value"; keep those`},
		"timeout over AMQP":              {values(nil, "host", amqpHost, "value", "1", "mode", "QueueLength", "timeout", "5s"), `parameter "timeout" applies to HTTP only; remove it`},
		"part of OAuth":                  {values(map[string]string{"clientID": "c"}, "host", httpHost), `parameter "oauthTokenURI" is required when "clientID" is set`},
		"OAuth over AMQP":                {values(oauth, "host", amqpHost), `parameter "oauthTokenURI" needs the management API; give its http address`},
		"OAuth and password":             {values(with("username", "u", "password", "p"), "host", httpHost), `parameter "oauthTokenURI" cannot be combined with username and password; keep one way to log in`},
		"OAuth and identity":             {values(with("workloadIdentityResource", "r"), "host", httpHost), `parameter "oauthTokenURI" cannot be combined with a workload identity; keep one way to log in`},
		"identity over AMQP":             {values(map[string]string{"workloadIdentityResource": "r"}, "host", amqpHost), `parameter "workloadIdentityResource" needs the management API; give its http address`},
		"malformed endpoint parameters":  {values(map[string]string{"endpointParams": "%zz"}, "host", httpHost), `parameter "endpointParams" must be URL-encoded parameters: name=value, joined by &`},
		"two mistakes are told together": {values(nil, "host", amqpHost, "pageSize", "x", "value", "1"), "parameter \"mode\" is required when \"value\" is set\nparameter \"pageSize\" must be a whole number, written with digits only"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := rabbitmq.Scaler.Parse(c.v)
			if got := fmt.Sprint(err); got != c.want {
				t.Errorf("error %s\nwant  %s", got, c.want)
			}
		})
	}
}

func TestAcceptedParameters(t *testing.T) {
	for name, c := range map[string]struct {
		v      param.Values
		target float64
	}{
		"zero length counts as absent":            {values(nil, "host", amqpHost, "queueLength", "0"), 20},
		"the old target":                          {values(nil, "host", amqpHost, "queueLength", "7"), 7},
		"timeout over AMQP with the old target":   {values(nil, "host", amqpHost, "queueLength", "7", "timeout", "5s"), 7},
		"timeout over AMQP without a target":      {values(nil, "host", amqpHost, "timeout", "500"), 20},
		"a negative target":                       {values(nil, "host", amqpHost, "queueLength", "-7"), 0},
		"scheme in capitals":                      {values(nil, "host", "AMQPS://mq"), 20},
		"a scheme that does not fit the protocol": {values(nil, "host", amqpHost, "protocol", "http"), 20},
		"an unknown identity provider":            {param.Values{Metadata: map[string]string{"queueName": "q", "host": httpHost}, Auth: map[string]string{"workloadIdentityResource": "r"}}, 20},
	} {
		t.Run(name, func(t *testing.T) {
			trigger, _, err := rabbitmq.Scaler.Parse(c.v)
			if err != nil || trigger.Target != c.target {
				t.Errorf("target %v, %v; want %v", trigger.Target, err, c.target)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"password in metadata": {values(nil, "host", "amqp://u:c4n4ry@mq"), `parameter "host" holds a password in plain text; move it to an authentication object`},
		"the old target":       {values(nil, "host", amqpHost, "queueLength", "3"), `parameter "queueLength" is deprecated; set "mode" to "QueueLength" and "value" to the number`},
		"tls without TLS":      {values(map[string]string{"tls": "enable"}, "host", amqpHost), `parameter "tls" has no effect: the address does not begin with amqps:// or https://`},
		"unusable address":     {values(nil, "host", "mq:1", "protocol", "http"), `parameter "host" cannot be connected to: it does not begin with a scheme that fits the protocol`},
		"unknown operation":    {values(nil, "host", httpHost, "useRegex", "true", "operation", "median"), `parameter "operation" is none of sum, avg and max: measuring fails as soon as a queue matches`},
		"user in metadata":     {values(nil, "host", amqpHost, "username", "bob"), `parameter "username" is ignored in metadata; set it as an authentication parameter, or through usernameFromEnv, naming a variable that the workload's container sets`},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := rabbitmq.Scaler.Parse(c.v)
			if err != nil || len(warnings) != 1 || warnings[0].String() != c.want {
				t.Errorf("warnings %q, %v\nwant %q", warnings, err, c.want)
			}
		})
	}
}

func TestWhatIsSharedAndWhatIsNot(t *testing.T) {
	a := values(nil, "host", httpHost)
	for name, c := range map[string]struct {
		a, b                  param.Values
		sameSource, sameQuery bool
	}{
		"another target":                   {a, values(nil, "host", httpHost, "queueLength", "3", "activationValue", "9"), true, true},
		"another virtual host over HTTP":   {a, values(nil, "host", httpHost+"shop"), true, false},
		"the default one, written out":     {a, values(nil, "host", httpHost+"%2F", "vhostName", "/"), true, true},
		"another virtual host over AMQP":   {values(nil, "host", amqpHost), values(nil, "host", amqpHost+"shop"), false, false},
		"the same one, written out":        {values(nil, "host", amqpHost), values(nil, "host", amqpHost+"%2F", "timeout", "3s", "unsafeSsl", "true"), true, true},
		"files that an address names":      {values(nil, "host", amqpHost), values(nil, "host", amqpHost+"?cacertfile=/etc/passwd&heartbeat=x"), true, true},
		"another heartbeat":                {values(nil, "host", amqpHost), values(nil, "host", amqpHost+"?heartbeat=60"), false, false},
		"credentials in another place":     {values(nil, "host", "http://u:p@mq:15672"), values(map[string]string{"username": "u", "password": "p"}, "host", httpHost), true, true},
		"other credentials":                {a, values(map[string]string{"username": "u", "password": "p"}, "host", httpHost), false, false},
		"another timeout":                  {a, values(nil, "host", httpHost, "timeout", "9s"), false, false},
		"certificates that do not apply":   {a, values(map[string]string{"ca": "PEM"}, "host", httpHost), true, true},
		"another activation of a length":   {a, values(nil, "host", httpHost, "activationValue", "3"), true, true},
		"another activation of a ratio":    {values(nil, "host", httpHost, "mode", "PublishedToDeliveredRatio", "value", "1"), values(nil, "host", httpHost, "mode", "PublishedToDeliveredRatio", "value", "1", "activationValue", "3"), true, false},
		"an operation without expressions": {a, values(nil, "host", httpHost, "operation", "max", "pageSize", "7"), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			x, y := parse(t, c.a), parse(t, c.b)
			if got := x.Source == y.Source; got != c.sameSource {
				t.Errorf("same source: %v, want %v", got, c.sameSource)
			}
			if got := x.Query == y.Query; got != c.sameQuery {
				t.Errorf("same query: %v, want %v: %v %v", got, c.sameQuery, x.Query, y.Query)
			}
		})
	}
}

func TestAddressesThatCannotBeOpened(t *testing.T) {
	identity := values(map[string]string{"workloadIdentityResource": "r"}, "host", httpHost)
	identity.Identity = param.Identity{Provider: "azure-workload"}
	secure := values(map[string]string{"workloadIdentityResource": "https://management.azure.com"}, "host", "https://mq")
	secure.Identity = identity.Identity
	for name, c := range map[string]struct {
		v    param.Values
		want string
	}{
		"no scheme":                {values(nil, "host", "u:c4n4ry@mq:5672", "protocol", "amqp"), `connecting to RabbitMQ: the address cannot be used; write "host" as amqp://..., amqps://..., http://... or https://..., to fit "protocol"`},
		"wrong scheme":             {values(nil, "host", amqpHost, "protocol", "http"), `connecting to RabbitMQ: the address cannot be used; write "host" as amqp://..., amqps://..., http://... or https://..., to fit "protocol"`},
		"Azure identity over HTTP": {identity, "connecting to RabbitMQ with an Azure identity: the token would be sent in plain text; give an https address"},
		"Azure identity for Azure": {secure, "connecting to RabbitMQ with an Azure identity: the resource is not an application of your own; give workloadIdentityResource as api://..., or name it in a ClusterTriggerAuthentication"},
		"CA":                       {values(map[string]string{"tls": "enable", "ca": "c4n4ry"}, "host", "https://mq"), "reading TLS parameter ca: it cannot be used; give the certificate authority as PEM text"},
		"CA over AMQP":             {values(map[string]string{"tls": "enable", "ca": "c4n4ry"}, "host", "amqps://mq"), "reading TLS parameter ca: it cannot be used; give the certificate authority as PEM text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.v).Source.Open(t.Context(), env(nil))
			if scalers.KindOf(err) != scalers.Invalid || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}

func TestExamplesParse(t *testing.T) {
	for _, e := range rabbitmq.Scaler.Examples {
		_, warnings, err := rabbitmq.Scaler.Parse(e.Values())
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", e.Title, err, warnings)
		}
	}
}

func parse(t *testing.T, v param.Values) scalers.Trigger {
	t.Helper()
	trigger, _, err := rabbitmq.Scaler.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return trigger
}
