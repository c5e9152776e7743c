package outbound_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/internal/outbound"
)

func network(t *testing.T, c outbound.Config) *outbound.Network {
	t.Helper()
	n, err := outbound.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.HTTP.CloseIdleConnections)
	return n
}

const refused = "which triggers may not reach"

func TestMetadataServicesAreRefused(t *testing.T) {
	t.Parallel()
	n := network(t, outbound.Config{})
	for _, address := range []string{
		"169.254.169.254:80", "169.254.170.2:80", "[fe80::1%lo]:80", "[::ffff:169.254.169.254]:80",
		"[fd00:ec2::254]:80", "168.63.129.16:80", "100.100.100.200:80",
	} {
		conn, err := n.Dial(t.Context(), "tcp", address)
		if err == nil {
			err = errors.Join(errors.New("connected"), conn.Close())
		}
		if !strings.Contains(err.Error(), refused) {
			t.Errorf("%s: %v", address, err)
		}
		resp, err := get(t, n, "http://"+strings.Replace(address, "%", "%25", 1)+"/latest/meta-data")
		if err == nil || !strings.Contains(err.Error(), refused) {
			t.Errorf("GET from %s: %v, %v", address, resp, err)
		}
	}
}

func get(t *testing.T, n *outbound.Network, address string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := n.HTTP.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func TestAProxyIsNotAskedForMetadata(t *testing.T) {
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Host
		w.WriteHeader(http.StatusOK)
	}))
	defer proxy.Close()
	// Read once per process by net/http: no other test here may go through a proxy.
	t.Setenv("HTTP_PROXY", proxy.URL)
	n := network(t, outbound.Config{})
	for _, host := range []string{"169.254.169.254", "metadata.google.internal", "METADATA.google.internal."} {
		if _, err := get(t, n, "http://"+host+"/"); err == nil || !strings.Contains(err.Error(), refused) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if len(asked) > 0 {
		t.Errorf("the proxy was asked for %s", <-asked)
	}
}

func TestTheFlagAllowsThem(t *testing.T) {
	t.Parallel()
	n := network(t, outbound.Config{AllowLinkLocal: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	conn, err := n.Dial(ctx, "tcp", "169.254.254.254:9")
	if err == nil {
		err = conn.Close()
	}
	if err != nil && strings.Contains(err.Error(), refused) {
		t.Errorf("refused: %v", err)
	}
}

func TestOtherAddressesAreReached(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test ends
	conn, err := network(t, outbound.Config{}).Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestAuthoritiesOfDirectoriesAreTrustedBesidesTheSystems(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer server.Close()
	if _, err := get(t, network(t, outbound.Config{CADirs: []string{filepath.Join(t.TempDir(), "none")}}), server.URL); err == nil {
		t.Fatal("an unknown authority is trusted")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "..data"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	n := network(t, outbound.Config{CADirs: []string{dir}})
	if _, err := get(t, n, server.URL); err != nil {
		t.Error(err)
	}
	if n.Roots == nil {
		t.Error("other protocols do not learn of it")
	}
	if err := os.WriteFile(filepath.Join(dir, "b.txt"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := outbound.New(outbound.Config{CADirs: []string{dir}}); err == nil || !strings.Contains(err.Error(), "b.txt holds no PEM certificate") {
		t.Errorf("a file that is no certificate: %v", err)
	}
}
