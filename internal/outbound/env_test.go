package outbound_test

import (
	"crypto/tls"
	"fmt"
	"reflect"
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
			map[string]string{"KEDA_HTTP_DEFAULT_TIMEOUT": "500", "KEDA_HTTP_DISABLE_KEEP_ALIVE": "true", "KEDA_HTTP_MIN_TLS_VERSION": "TLS13"},
			outbound.Config{Timeout: 500 * time.Millisecond, DisableKeepAlives: true, MinTLS: tls.VersionTLS13},
			"<nil>",
		},
		{
			map[string]string{"KEDA_HTTP_DEFAULT_TIMEOUT": "-1", "KEDA_HTTP_DISABLE_KEEP_ALIVE": "perhaps", "KEDA_HTTP_MIN_TLS_VERSION": "1.3"},
			outbound.Config{},
			"reading the environment: $KEDA_HTTP_DEFAULT_TIMEOUT must be a whole number of milliseconds above zero\n" +
				"$KEDA_HTTP_DISABLE_KEEP_ALIVE must be true or false\n$KEDA_HTTP_MIN_TLS_VERSION must be TLS10, TLS11, TLS12 or TLS13",
		},
	} {
		got, err := outbound.FromEnv(func(name string) string { return test.env[name] })
		if !reflect.DeepEqual(got, test.want) || fmt.Sprint(err) != test.err {
			t.Errorf("%v: got %+v, %v", test.env, got, err)
		}
	}
}
