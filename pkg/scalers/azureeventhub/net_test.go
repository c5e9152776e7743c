package azureeventhub_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/test/fakes/azurestorage"
	"github.com/weir-sh/weir/test/fakes/eventhubs"
)

// listen serves connections with f, and closes what is left at the end.
func listen(t *testing.T, f func(net.Conn)) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			f(c)
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
		for _, c := range conns {
			_ = c.Close() //nolint:errcheck // f may have closed it
		}
	})
	return l.Addr().String()
}

// at is a trigger on a namespace at an address, without a storage account.
func at(address string) param.Values {
	return param.Values{
		Metadata: meta("eventHubName", "orders"),
		Auth: meta("connection", "Endpoint=sb://"+address+"/;SharedAccessKeyName=k;SharedAccessKey=s;UseDevelopmentEmulator=true",
			"storageConnection", "AccountName=a;AccountKey=a2V5"),
	}
}

// certificate makes one for names, and the pool that trusts it.
func certificate(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLSVerifiesTheNamespace(t *testing.T) {
	own, pool := certificate(t, "shop.servicebus.windows.net")
	f := start(t, eventhubs.Options{TLS: &tls.Config{Certificates: []tls.Certificate{own}}})
	f.SetHub("orders", eventhubs.Partition{Last: 9})
	f.account.SetContainer("azure-webjobs-eventhub")
	dialled := ""
	e := env(t)
	e.RootCAs = pool
	e.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled = address
		return new(net.Dialer).DialContext(ctx, network, f.Addr())
	}
	v := f.values("eventHubName", "orders")
	v.Auth["connection"] = "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=" + eventhubs.KeyName + ";SharedAccessKey=" + eventhubs.Key
	trigger := parse(t, v)
	if r := measure(t, open(t, trigger, e), trigger)[0]; r.Err != nil || r.Value != 10 {
		t.Errorf("got %v, %v", r.Value, r.Err)
	}
	if dialled != "shop.servicebus.windows.net:5671" {
		t.Errorf("connected to %s", dialled)
	}
	_, e.RootCAs = certificate(t, "shop.servicebus.windows.net")
	_, err := open(t, trigger, e).Fetch(within(t, soon), []scalers.Query{trigger.Query})
	if scalers.KindOf(err) != scalers.Unreachable || scalers.HintOf(err) != "trust the server's certificate authority" {
		t.Errorf("an unknown authority: %v", err)
	}
}

func TestAnIdentity(t *testing.T) {
	own, pool := certificate(t, "shop.servicebus.windows.net")
	f := start(t, eventhubs.Options{TLS: &tls.Config{Certificates: []tls.Certificate{own}}, Token: "t0ken"})
	f.SetHub("orders", eventhubs.Partition{Last: 9}, eventhubs.Partition{Last: 9})
	account := azurestorage.New()
	account.SetContainer("azure-webjobs-eventhub")
	account.SetBlob("azure-webjobs-eventhub", "shop.servicebus.windows.net/orders/$Default/1", `{"SequenceNumber":4}`, nil)
	account.AllowToken("t0ken")
	cloud := &cloudServer{blobs: account.Blobs(), token: "t0ken"}
	server := httptest.NewTLSServer(cloud)
	t.Cleanup(server.Close)
	workload(t)

	e := env(t)
	e.RootCAs = pool
	e.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, f.Addr())
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the hosts are others
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	e.HTTP = &http.Client{Transport: transport, Timeout: soon}
	v := param.Values{
		Identity: param.Identity{Provider: "azure-workload"}, Namespace: "shop",
		Metadata: meta("eventHubNamespace", "shop", "eventHubName", "orders", "storageAccountName", azurestorage.AccountName),
	}
	trigger := parse(t, v)
	if r := measure(t, open(t, trigger, e), trigger)[0]; r.Err != nil || r.Value != 15 {
		t.Errorf("got %v, %v", r.Value, r.Err)
	}
	hosts := cloud.asked()
	if want := []string{azurestorage.AccountName + ".blob.core.windows.net", "login.microsoftonline.com"}; !slices.Equal(slices.Compact(slices.Sorted(slices.Values(hosts))), slices.Sorted(slices.Values(want))) {
		t.Errorf("asked %v, want %v", hosts, want)
	}

	cloud.refuse()
	_, err := open(t, trigger, e).Fetch(within(t, soon), []scalers.Query{trigger.Query})
	want := `measuring event hub "orders": getting a token of Microsoft Entra ID: status 401 Unauthorized`
	if scalers.KindOf(err) != scalers.Unauthorized || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a refused identity: %v", err)
	}
}

// workload sets what the workload identity webhook sets.
func workload(t *testing.T) {
	t.Helper()
	assertion := t.TempDir() + "/token"
	if err := os.WriteFile(assertion, []byte("assertion"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", assertion)
	t.Setenv("AZURE_CLIENT_ID", "client")
	t.Setenv("AZURE_TENANT_ID", "tenant")
	t.Setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/")
}

// cloudServer is login and storage in one.
type cloudServer struct {
	blobs http.Handler
	token string

	mu      sync.Mutex // guards the rest
	hosts   []string
	refused bool
}

func (c *cloudServer) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.hosts)
}

func (c *cloudServer) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = true
}

// ServeHTTP implements http.Handler.
func (c *cloudServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.hosts = append(c.hosts, r.Host)
	refused := c.refused
	c.mu.Unlock()
	const tenant = "https://login.microsoftonline.com/tenant"
	answer := ""
	switch {
	case !strings.HasPrefix(r.Host, "login."):
		c.blobs.ServeHTTP(w, r)
		return
	case strings.HasSuffix(r.URL.Path, "openid-configuration"):
		answer = `{"issuer":"` + tenant + `/v2.0","authorization_endpoint":"` + tenant + `/authorize","token_endpoint":"` + tenant + `/token"}`
	case refused:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		answer = `{"token_type":"Bearer","expires_in":3600,"access_token":"` + c.token + `"}`
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(answer)) //nolint:errcheck // the client sees it
}
