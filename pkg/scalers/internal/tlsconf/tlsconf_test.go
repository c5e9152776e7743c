package tlsconf_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/internal/tlsconf"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// identity is a self-signed client certificate and its key, plain and encrypted
// with the password "correct".
type identity struct{ cert, key, encrypted string }

func newIdentity(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := pkcs8.MarshalPrivateKey(key, []byte("correct"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return identity{encode("CERTIFICATE", der), encode("PRIVATE KEY", plain), encode("ENCRYPTED PRIVATE KEY", sealed)}
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// settings parses authentication parameters as a scaler would.
func settings(t *testing.T, metadata, auth map[string]string) tlsconf.Settings {
	t.Helper()
	var s tlsconf.Settings
	if _, err := param.Parse(param.Values{Metadata: metadata, Auth: auth}, s.Bind); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConnections talks to a real server that wants a client certificate.
func TestConnections(t *testing.T) {
	id := newIdentity(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			w.Header().Set("Client", r.TLS.PeerCertificates[0].Subject.CommonName)
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the client that refuses the server is meant to
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := encode("CERTIFICATE", server.Certificate().Raw)

	for _, c := range []struct {
		name           string
		metadata, auth map[string]string
		client         string
		err            string
	}{
		{"the system's roots do not know the server", nil, nil, "", "certificate signed by unknown authority"},
		{"any certificate when asked for", map[string]string{"unsafeSsl": "true"}, nil, "", ""},
		{"a certificate authority", nil, map[string]string{"ca": ca}, "", ""},
		{"a client certificate", nil, map[string]string{"ca": ca, "cert": id.cert, "key": id.key}, "client", ""},
		{"the other spelling of cert", nil, map[string]string{"ca": ca, "Cert": id.cert, "key": id.key}, "client", ""},
		{"an encrypted key", nil, map[string]string{"ca": ca, "cert": id.cert, "key": id.encrypted, "keyPassword": "correct"}, "client", ""},
		{"a certificate without a key is not used", nil, map[string]string{"ca": ca, "cert": id.cert}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := settings(t, c.metadata, c.auth).Config(nil)
			if err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{TLSClientConfig: config}
			defer transport.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				if c.err == "" || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				return
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if got := resp.Header.Get("Client"); c.err != "" || got != c.client {
				t.Errorf("the server saw client %q, want %q and error %q", got, c.client, c.err)
			}
		})
	}
}

func TestErrorsNameTheParameterAndHideItsValue(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	for _, c := range []struct {
		auth map[string]string
		want string
	}{
		{map[string]string{"ca": "s3cret"}, "reading TLS parameter ca: it cannot be used; give the certificate authority as PEM text"},
		{map[string]string{"cert": id.cert, "key": "s3cret"}, "reading TLS parameter cert: it cannot be used; give a certificate and its own key as PEM text"},
		{map[string]string{"cert": "s3cret", "key": id.key}, "reading TLS parameter cert: it cannot be used; give a certificate and its own key as PEM text"},
		{map[string]string{"cert": id.cert, "key": other.key}, "reading TLS parameter cert: it cannot be used; give a certificate and its own key as PEM text"},
		{map[string]string{"cert": id.cert, "key": "s3cret", "keyPassword": "correct"}, "reading TLS parameter key: it cannot be used; give the key as PEM text"},
		{map[string]string{"cert": id.cert, "key": id.encrypted, "keyPassword": "s3cret"}, "reading TLS parameter keyPassword: it cannot be used; give the password of an encrypted PKCS #8 key"},
		{map[string]string{"cert": id.cert, "key": id.key, "keyPassword": "s3cret"}, "reading TLS parameter keyPassword: it cannot be used; give the password of an encrypted PKCS #8 key"},
		{map[string]string{"cert": id.cert, "key": id.encrypted}, "reading TLS parameter cert: it cannot be used; give a certificate and its own key as PEM text"},
	} {
		config, err := settings(t, nil, c.auth).Config(nil)
		if config != nil || fmt.Sprint(err) != c.want || scalers.KindOf(err) != scalers.Invalid {
			t.Errorf("got %v (%s), want %s", err, scalers.KindOf(err), c.want)
		}
	}
}

func TestSettingsCompareByValue(t *testing.T) {
	a := settings(t, nil, map[string]string{"ca": "x", "keyPassword": "y"})
	if a != settings(t, nil, map[string]string{"ca": "x", "keyPassword": "y"}) || a == settings(t, nil, map[string]string{"ca": "x"}) {
		t.Error("settings are equal when, and only when, their contents are")
	}
}
