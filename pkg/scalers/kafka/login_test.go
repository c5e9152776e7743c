package kafka_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weir-sh/weir/internal/testpki"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

const canary = "c4n4ry"

// refused opens a trigger that cannot be opened.
func refused(t *testing.T, trigger scalers.Trigger) error {
	t.Helper()
	conn, err := trigger.Source.Open(within(t, soon), env())
	if err == nil {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		t.Fatal("it opens")
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), canary) {
		t.Errorf("the error shows a secret: %v", err)
	}
	return err
}

func TestWaysToLogIn(t *testing.T) {
	t.Parallel()
	for way, method := range map[string]string{"plaintext": "PLAIN", "scram_sha256": "SCRAM-SHA-256", "scram_sha512": "SCRAM-SHA-512"} {
		c := start(t, kfake.SeedTopics(2, "orders"), kfake.EnableSASL(), kfake.Superuser(method, "a=b,c", password))
		for _, typ := range []string{"kafka", "apache-kafka"} {
			trigger := parse(t, typ, c.at("sasl", way), meta("username", "a=b,c", "password", password))
			wantReading(t, way, measure(t, open(t, trigger), trigger)[0], 2, "", "")
		}
		err := refused(t, parse(t, "kafka", c.at("sasl", way), meta("username", "a=b,c", "password", canary)))
		if kind := scalers.KindOf(err); kind != scalers.Unauthorized && scalers.HintOf(err) != "brokers close connections that expect another login or none, or TLS or none: check sasl, username, password and tls" {
			t.Errorf("%s with a wrong password: %s %v", way, kind, err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	keys, err := testpki.New()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(keys.Cert), []byte(keys.Key))
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, kfake.SeedTopics(2, "orders"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))
	trigger := parse(t, "apache-kafka", c.at("tls", "enable"), meta("ca", keys.CA, "cert", keys.Cert, "key", keys.Key))
	wantReading(t, "with the authority", measure(t, open(t, trigger), trigger)[0], 2, "", "")
	trigger = parse(t, "kafka", c.at("unsafeSsl", "true"), meta("tls", "enable"))
	wantReading(t, "unverified", measure(t, open(t, trigger), trigger)[0], 2, "", "")

	err = refused(t, parse(t, "kafka", c.at("tls", "enable"), nil))
	if scalers.KindOf(err) != scalers.Unreachable || scalers.HintOf(err) != "give the authority of the brokers' certificates as ca, or connect by a name that is in the certificate" {
		t.Errorf("without the authority: %s %v", scalers.KindOf(err), err)
	}
	err = refused(t, parse(t, "kafka", c.at(), nil))
	if scalers.KindOf(err) == "" {
		t.Errorf("without TLS: %v", err)
	}
	err = refused(t, parse(t, "kafka", c.at("tls", "enable"), meta("ca", canary)))
	if want := "reading TLS parameter ca: it cannot be used; give the certificate authority as PEM text"; err.Error() != want {
		t.Errorf("a bad authority: %v", err)
	}
}

func TestSourcesThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	krb := meta("username", "u", "password", canary, "realm", "R", "kerberosConfig", "[libdefaults]\n dns_lookup_kdc = true\n")
	broken := meta("username", "u", "password", canary, "realm", "R", "kerberosConfig", "[libdefaults]\n "+canary+"\n")
	for _, c := range []struct {
		name, typ string
		v         param.Values
		kind      scalers.Kind
		want      string
	}{
		{"Kerberos in apache-kafka", "apache-kafka", values(nil, "sasl", "gssapi"), scalers.Invalid, "logging in to Kafka: this type has no Kerberos; use the trigger type kafka"},
		{"scram without a user", "apache-kafka", values(nil, "sasl", "scram_sha256"), scalers.Invalid, "logging in to Kafka: there is no user or no password; give username and password"},
		{"Kerberos servers from the DNS", "kafka", values(krb, "sasl", "gssapi"), scalers.Invalid, "reading kerberosConfig: it has servers looked up in the DNS; set dns_lookup_kdc to false and write the servers down"},
		{"a broken configuration of Kerberos", "kafka", values(broken, "sasl", "gssapi"), scalers.Invalid, "reading kerberosConfig: it cannot be parsed; give the contents of krb5.conf"},
	} {
		t.Run(c.typ+"/"+c.name, func(t *testing.T) {
			trigger, _, err := definition(t, c.typ).Parse(c.v)
			if err != nil {
				t.Fatal(err)
			}
			if err := refused(t, trigger); scalers.KindOf(err) != c.kind || err.Error() != c.want {
				t.Errorf("%s %v\nwant %s %s", scalers.KindOf(err), err, c.kind, c.want)
			}
		})
	}
}

func TestServersThatAreNoBrokers(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"an HTTP server":         "HTTP/1.1 400 Bad Request\r\n\r\n",
		"too small an answer":    "\x00\x00\x00\x01\x00",
		"a closed connection":    "",
		"an answer that lies":    "\x00\x00\x00\x08\x00\x00\x00\x00\xff\xff\xff\xff",
		"another correlation":    "\x00\x00\x00\x04\x00\x00\x00\x09",
		"a length beyond bounds": "\x7f\xff\xff\xff",
	} {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, err = conn.Write([]byte(says))
				if err := errors.Join(err, conn.Close()); err != nil {
					t.Logf("answering: %v", err)
				}
			}
		}()
		err = refusedOrFailing(t, parse(t, "kafka", meta("bootstrapServers", l.Addr().String(), "consumerGroup", "g", "topic", "t"), nil))
		if kind := scalers.KindOf(err); kind != scalers.BadAnswer && kind != scalers.Unreachable {
			t.Errorf("%s: %s %v", name, kind, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-done
	}
}

// refusedOrFailing returns why a trigger cannot be opened, or else not measured.
func refusedOrFailing(t *testing.T, trigger scalers.Trigger) error {
	t.Helper()
	conn, err := trigger.Source.Open(within(t, soon), env())
	if err != nil {
		return err
	}
	_, err = conn.Fetch(within(t, soon), []scalers.Query{trigger.Query})
	return errors.Join(err, conn.Close())
}

// mock is a broker that answers what it is told, for ways to log in that the
// fake cluster does not know.
func mock(t *testing.T, mechanism string, answer *sarama.MockSaslAuthenticateResponse) *sarama.MockBroker {
	t.Helper()
	b := sarama.NewMockBroker(t, 1)
	return answering(t, b, mechanism, answer)
}

func answering(t *testing.T, b *sarama.MockBroker, mechanism string, answer *sarama.MockSaslAuthenticateResponse) *sarama.MockBroker {
	t.Helper()
	b.SetHandlerByMap(map[string]sarama.MockResponse{
		"ApiVersionsRequest": sarama.NewMockApiVersionsResponse(t).SetApiKeys([]sarama.ApiVersionsResponseKey{
			{ApiKey: int16(kmsg.SASLHandshake), MaxVersion: 1}, {ApiKey: int16(kmsg.SASLAuthenticate), MaxVersion: 2},
		}),
		"SaslHandshakeRequest":    sarama.NewMockSaslHandshakeResponse(t).SetEnabledMechanisms([]string{mechanism}),
		"SaslAuthenticateRequest": answer,
	})
	t.Cleanup(b.Close)
	return b
}

func TestABrokerThatRefusesTheLogin(t *testing.T) {
	b := mock(t, "PLAIN", sarama.NewMockSaslAuthenticateResponse(t).SetError(sarama.ErrSASLAuthenticationFailed))
	err := refused(t, parse(t, "kafka", meta("bootstrapServers", b.Addr(), "consumerGroup", "g", "topic", "t", "sasl", "plaintext"), meta("username", canary, "password", canary)))
	want := "connecting to Kafka at " + b.Addr() + ": code 58: kafka server: SASL Authentication failed; check username, password and the mechanism that the broker expects"
	if scalers.KindOf(err) != scalers.Unauthorized || err.Error() != want {
		t.Errorf("%s %v\nwant %s", scalers.KindOf(err), err, want)
	}
}

// said returns what was sent to log in.
func said(b *sarama.MockBroker) []string {
	var out []string
	for _, r := range b.History() {
		if login, ok := r.Request.(*sarama.SaslAuthenticateRequest); ok {
			out = append(out, string(login.SaslAuthBytes))
		}
	}
	return out
}

func TestOAuthTokensAreFetchedOnceAndSentWithExtensions(t *testing.T) {
	asked := 0
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if id, secret, _ := r.BasicAuth(); id != "client" || secret != password || r.FormValue("scope") != "a b" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s"}`, canary)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t0k3n","token_type":"bearer","expires_in":3600}`)
	}))
	t.Cleanup(tokens.Close)
	b := mock(t, "OAUTHBEARER", sarama.NewMockSaslAuthenticateResponse(t))
	m := meta("bootstrapServers", b.Addr(), "consumerGroup", "g", "topic", "t", "sasl", "oauthbearer")
	auth := meta("username", "client", "password", password, "oauthTokenEndpointUri", tokens.URL, "scopes", "a,b", "oauthExtensions", "logicalCluster=lkc-1,identityPoolId=p")
	open(t, parse(t, "kafka", m, auth))
	if got, want := fmt.Sprintf("%q", said(b)), `["n,,\x01auth=Bearer t0k3n\x01identityPoolId=p\x01logicalCluster=lkc-1\x01\x01"]`; got != want || asked != 1 {
		t.Errorf("sent %s after %d requests, want %s", got, asked, want)
	}
	auth["password"] = canary
	err := refused(t, parse(t, "kafka", m, auth))
	if want := "fetching an OAuth token: status 401 Unauthorized; check username, password and scopes"; scalers.KindOf(err) != scalers.Unauthorized || err.Error() != want {
		t.Errorf("%s %v\nwant %s", scalers.KindOf(err), err, want)
	}
}

func TestMSKTokensAreSigned(t *testing.T) {
	keys, err := testpki.New()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(keys.Cert), []byte(keys.Key))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	b := answering(t, sarama.NewMockBrokerListener(t, 1, l), "OAUTHBEARER", sarama.NewMockSaslAuthenticateResponse(t))
	for typ, way := range map[string]map[string]string{
		"kafka": meta("sasl", "oauthbearer", "saslTokenProvider", "aws_msk_iam"), "apache-kafka": meta("sasl", "aws_msk_iam"),
	} {
		m := meta("bootstrapServers", b.Addr(), "consumerGroup", "g", "topic", "t", "tls", "enable", "awsRegion", "eu-west-1")
		maps.Copy(m, way)
		open(t, parse(t, typ, m, meta("ca", keys.CA, "awsAccessKeyID", "AKIA", "awsSecretAccessKey", canary)))
	}
	for _, s := range said(b) {
		if !strings.HasPrefix(s, "n,,\x01auth=Bearer ") || len(s) < 200 || strings.Contains(s, canary) {
			t.Errorf("sent %q", s)
		}
	}
	if n := len(said(b)); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestKerberosFilesArePrivateAndRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	config := "[libdefaults]\n default_realm = R\n udp_preference_limit = 1\n[realms]\n R = {\n  kdc = " + l.Addr().String() + "\n }\n"
	b := mock(t, "GSSAPI", sarama.NewMockSaslAuthenticateResponse(t))
	trigger := parse(t, "kafka", meta("bootstrapServers", b.Addr(), "consumerGroup", "g", "topic", "t", "sasl", "gssapi"),
		meta("username", canary, "password", canary, "realm", "R", "kerberosConfig", config))
	begin := time.Now()
	err = refused(t, trigger)
	want := "logging in by Kerberos: the Kerberos servers do not answer; check username, password or keytab, realm, kerberosServiceName and kerberosConfig"
	if scalers.KindOf(err) != scalers.Unreachable || err.Error() != want || time.Since(begin) > soon {
		t.Errorf("%s %v after %v\nwant %s", scalers.KindOf(err), err, time.Since(begin), want)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
