package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weir-sh/weir/pkg/scalers"
)

func TestABrokerThatSaysInWordsWhyItRefusesALogin(t *testing.T) {
	t.Parallel()
	c := start(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "a", password))
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer := r.ResponseKind().(*kmsg.SASLAuthenticateResponse) //nolint:forcetypeassert // it is the key's
		answer.ErrorCode, answer.ErrorMessage = 58, new("Authentication failed: "+canary)
		return answer, nil, true
	})
	err := refused(t, parse(t, "kafka", c.at("sasl", "plaintext"), meta("username", "a", "password", canary)))
	want := "connecting to Kafka at " + c.addrs() + ": code 58: kafka server: SASL Authentication failed; check username, password and the mechanism that the broker expects"
	if scalers.KindOf(err) != scalers.Unauthorized || err.Error() != want {
		t.Errorf("%s %v\nwant %s %s", scalers.KindOf(err), err, scalers.Unauthorized, want)
	}
}
