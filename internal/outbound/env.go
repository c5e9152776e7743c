package outbound

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FromEnv reads the variables of the environment that KEDA's users set:
// KEDA_HTTP_DEFAULT_TIMEOUT in milliseconds, KEDA_HTTP_MIN_TLS_VERSION,
// KEDA_HTTP_TLS_CIPHER_LIST and KEDA_HTTP_DISABLE_KEEP_ALIVE. All that is wrong is
// in the error.
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
	var err error
	c.MinTLS, err = Version(getenv, "KEDA_HTTP_MIN_TLS_VERSION")
	errs = append(errs, err)
	c.CipherSuites, err = Ciphers(getenv, "KEDA_HTTP_TLS_CIPHER_LIST")
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("reading the environment: %w", err)
	}
	return c, nil
}

// Version reads a version of TLS, such as TLS12, from a variable; zero when it is
// not set.
func Version(getenv func(string) string, variable string) (uint16, error) {
	v := getenv(variable)
	if v == "" {
		return 0, nil
	}
	versions := map[string]uint16{"TLS10": tls.VersionTLS10, "TLS11": tls.VersionTLS11, "TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13}
	version, ok := versions[v]
	if !ok {
		return 0, fmt.Errorf("$%s must be TLS10, TLS11, TLS12 or TLS13", variable)
	}
	return version, nil
}

// Ciphers reads a list of cipher suites, by the names that Go has for them and
// separated by commas or colons, from a variable; nil when it is not set. They
// count up to TLS 1.2: those of TLS 1.3 cannot be chosen. Suites known to be
// broken are not known here.
func Ciphers(getenv func(string) string, variable string) ([]uint16, error) {
	var out []uint16
	var unknown []string
	for name := range strings.FieldsFuncSeq(getenv(variable), func(r rune) bool { return r == ',' || r == ':' || r == ' ' }) {
		i := slices.IndexFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool { return s.Name == name })
		if i < 0 {
			unknown = append(unknown, name)
			continue
		}
		out = append(out, tls.CipherSuites()[i].ID)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("$%s has cipher suites that are unknown or broken: %s; name them as Go does, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
			variable, strings.Join(unknown, ", "))
	}
	return out, nil
}
