package outbound_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/weir-sh/weir/internal/outbound"
)

func TestVariablesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env  map[string]string
		want outbound.Config
		err  string
	}{
		{nil, outbound.Config{}, "<nil>"},
		{
			map[string]string{
				"KEDA_HTTP_DEFAULT_TIMEOUT": "500", "KEDA_HTTP_DISABLE_KEEP_ALIVE": "true", "KEDA_HTTP_MIN_TLS_VERSION": "TLS13",
				"KEDA_HTTP_TLS_CIPHER_LIST": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
			},
			outbound.Config{
				Timeout: 500 * time.Millisecond, DisableKeepAlives: true, MinTLS: tls.VersionTLS13,
				CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_AES_128_GCM_SHA256},
			},
			"<nil>",
		},
		{
			map[string]string{"KEDA_HTTP_DEFAULT_TIMEOUT": "-1", "KEDA_HTTP_DISABLE_KEEP_ALIVE": "perhaps", "KEDA_HTTP_MIN_TLS_VERSION": "1.3", "KEDA_HTTP_TLS_CIPHER_LIST": "fast,TLS_RSA_WITH_RC4_128_SHA"},
			outbound.Config{},
			"reading the environment: $KEDA_HTTP_DEFAULT_TIMEOUT must be a whole number of milliseconds above zero\n" +
				"$KEDA_HTTP_DISABLE_KEEP_ALIVE must be true or false\n$KEDA_HTTP_MIN_TLS_VERSION must be TLS10, TLS11, TLS12 or TLS13\n" +
				"$KEDA_HTTP_TLS_CIPHER_LIST has cipher suites that are unknown or broken: fast, TLS_RSA_WITH_RC4_128_SHA; " +
				"name them as Go does, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		},
	} {
		got, err := outbound.FromEnv(func(name string) string { return test.env[name] })
		if !reflect.DeepEqual(got, test.want) || fmt.Sprint(err) != test.err {
			t.Errorf("%v: got %+v, %v", test.env, got, err)
		}
	}
}

func TestHTTPConnectionsAreKeptAsConfigured(t *testing.T) {
	t.Parallel()
	suites := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, test := range []struct {
		config     outbound.Config
		all, perTo int
		timeout    time.Duration
	}{
		{outbound.Config{}, 0, 64, 90 * time.Second},
		{outbound.Config{MaxIdle: 5, MaxIdlePerHost: 2, IdleTimeout: time.Second, CipherSuites: suites}, 5, 2, time.Second},
	} {
		network, err := outbound.New(test.config)
		if err != nil {
			t.Fatal(err)
		}
		transport, ok := network.HTTP.Transport.(*http.Transport)
		if !ok {
			t.Fatalf("the transport is a %T", network.HTTP.Transport)
		}
		if transport.MaxIdleConns != test.all || transport.MaxIdleConnsPerHost != test.perTo || transport.IdleConnTimeout != test.timeout ||
			!slices.Equal(transport.TLSClientConfig.CipherSuites, test.config.CipherSuites) {
			t.Errorf("%+v: keeps %d connections, %d to one server, for %s, with %v", test.config,
				transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.IdleConnTimeout, transport.TLSClientConfig.CipherSuites)
		}
	}
}
