package gcpsecretmanager_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	"github.com/weir-sh/weir/pkg/cloud/gcpauth"
	"github.com/weir-sh/weir/pkg/kube/secretstore"
	"github.com/weir-sh/weir/pkg/kube/secretstore/gcpsecretmanager"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	fake "github.com/weir-sh/weir/test/fakes/gcpsecretmanager"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is the key of a service account of project "shop".
func key(t *testing.T) param.Secret {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "shop", "private_key_id": "canary", "client_email": "weir@shop.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://canary.invalid/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	return param.NewSecret(string(text))
}

func store(s *fake.Server) *gcpsecretmanager.Store {
	return gcpsecretmanager.New(gcpsecretmanager.Config{
		Env: scalers.Env{
			Dial: new(net.Dialer).DialContext, RootCAs: s.Roots(), Log: slog.New(slog.DiscardHandler), ClientName: "weir",
		},
		Endpoint: gcpauth.Endpoint{Address: s.Address()},
	})
}

func TestSecretsAreRead(t *testing.T) {
	t.Parallel()
	s := fake.Start(t)
	s.SetSecret("projects/shop/secrets/broker/versions/latest", "newest")
	s.SetSecret("projects/shop/secrets/broker/versions/3", "third")
	session, err := store(s).Open(secretstore.GCPLogin{Key: key(t)})
	if err != nil {
		t.Fatal(err)
	}
	const of = ` of project "shop": `
	const grant = "; grant the account the role roles/secretmanager.secretAccessor on the secret"
	const wrong = `the id or the version is not one of a secret; give the secret's name without its project`
	for _, tc := range []struct {
		item secretstore.GCPItem
		code codes.Code
		want string
	}{
		{secretstore.GCPItem{ID: "broker"}, codes.OK, "newest"},
		{secretstore.GCPItem{ID: "broker", Version: "3"}, codes.OK, "third"},
		{secretstore.GCPItem{ID: "gone"}, codes.OK, `NotFound: reading Secret Manager secret "gone"` + of + "NotFound: Secret Version [projects/shop/secrets/gone/versions/latest] not found."},
		{secretstore.GCPItem{ID: "broker"}, codes.PermissionDenied, `Unauthorized: reading Secret Manager secret "broker"` + of + "PermissionDenied: refusing Bearer [redacted]" + grant},
		{secretstore.GCPItem{ID: "broker"}, codes.Unavailable, `Unreachable: reading Secret Manager secret "broker"` + of + "Unavailable: refusing Bearer [redacted]"},
		{secretstore.GCPItem{ID: "../x"}, codes.OK, `Invalid: reading Secret Manager secret "../x": ` + wrong},
		{secretstore.GCPItem{ID: "x", Version: "1/2"}, codes.OK, `Invalid: reading Secret Manager secret "x": ` + wrong},
		{secretstore.GCPItem{}, codes.OK, `Invalid: reading Secret Manager secret "": ` + wrong},
	} {
		s.Fail(tc.code)
		ctx := t.Context()
		got, err := session.Read(ctx, tc.item)
		out := got.Fields[""]
		if err != nil {
			out = fmt.Sprintf("%s: %v", scalers.KindOf(err), err)
		}
		if out != tc.want {
			t.Errorf("%+v: got\n%s\nwant\n%s", tc.item, out, tc.want)
		}
	}
	s.Fail(codes.OK)
	s.Damage()
	if _, err := session.Read(t.Context(), secretstore.GCPItem{ID: "broker"}); err == nil || !strings.HasSuffix(err.Error(), "the value was damaged on its way") {
		t.Errorf("got %v", err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

func TestLoginsThatCannotBeRight(t *testing.T) {
	t.Parallel()
	s := fake.Start(t)
	if _, err := store(s).Open(secretstore.GCPLogin{}); err == nil || err.Error() != "connecting to Google Cloud Secret Manager: there are no credentials; set credentials, or podIdentity gcp" {
		t.Errorf("got %v", err)
	}
	for _, text := range []string{"canary", `{"type":"external_account","canary":1}`, `{"type":"service_account","private_key":"canary"}`} {
		session, err := store(s).Open(secretstore.GCPLogin{Key: param.NewSecret(text)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = session.Read(t.Context(), secretstore.GCPItem{ID: "a"})
		if scalers.KindOf(err) != scalers.Invalid || strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s: %v", text, err)
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(s.Asked()) > 0 {
		t.Error("it was asked")
	}
}

// The process's own tokens go to Google only.
func TestTheOwnIdentityIsNotSentElsewhere(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/dev/null")
	s := fake.Start(t)
	session, err := store(s).Open(secretstore.GCPLogin{Identity: param.Identity{Provider: "gcp"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Read(t.Context(), secretstore.GCPItem{ID: "a"}); err == nil {
		t.Error("it was read")
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if len(s.Asked()) > 0 {
		t.Error("it was asked")
	}
}
