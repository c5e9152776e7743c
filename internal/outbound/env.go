package outbound

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// FromEnv reads the variables of the environment that KEDA's users set:
// KEDA_HTTP_DEFAULT_TIMEOUT in milliseconds, KEDA_HTTP_MIN_TLS_VERSION and
// KEDA_HTTP_DISABLE_KEEP_ALIVE. All that is wrong is in the error.
func FromEnv(getenv func(string) string) (Config, error) {
	var c Config
	var errs []error
	if v := getenv("KEDA_HTTP_DEFAULT_TIMEOUT"); v != "" {
		ms, err := strconv.Atoi(v)
		if err != nil || ms <= 0 {
			errs = append(errs, errors.New("$KEDA_HTTP_DEFAULT_TIMEOUT must be a whole number of milliseconds above zero"))
		}
		c.Timeout = time.Duration(ms) * time.Millisecond
	}
	if v := getenv("KEDA_HTTP_DISABLE_KEEP_ALIVE"); v != "" {
		var err error
		if c.DisableKeepAlives, err = strconv.ParseBool(v); err != nil {
			errs = append(errs, errors.New("$KEDA_HTTP_DISABLE_KEEP_ALIVE must be true or false"))
		}
	}
	if v := getenv("KEDA_HTTP_MIN_TLS_VERSION"); v != "" {
		versions := map[string]uint16{"TLS10": tls.VersionTLS10, "TLS11": tls.VersionTLS11, "TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13}
		if c.MinTLS = versions[v]; c.MinTLS == 0 {
			errs = append(errs, errors.New("$KEDA_HTTP_MIN_TLS_VERSION must be TLS10, TLS11, TLS12 or TLS13"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("reading the environment: %w", err)
	}
	return c, nil
}
