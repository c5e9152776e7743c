// Package tlsconf holds the TLS settings that several scalers share: a CA, a
// client certificate with a key that may be encrypted, and whether to verify.
package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/youmark/pkcs8"

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Settings are PEM contents, not paths. They are comparable, so a scaler's
// settings can hold them. The zero value verifies against the system's roots.
type Settings struct {
	CA, Cert, Key, KeyPassword param.Secret
	SkipVerify                 bool // accept any certificate
}

// Bind declares the parameters under the names that all scalers use.
func (s *Settings) Bind(p *param.Set) {
	p.Secret(&s.CA, "ca", "Certificate authority to trust besides the system's, as PEM text.")
	p.Secret(&s.Cert, "cert", "Client certificate, as PEM text.", param.Alias("Cert"))
	p.Secret(&s.Key, "key", "Key of the client certificate, as PEM text.")
	p.Secret(&s.KeyPassword, "keyPassword", "Password of the key, when it is encrypted PKCS #8.")
	p.Bool(&s.SkipVerify, "unsafeSsl", "Accept any certificate of the server. Traffic can then be read and changed on the way.")
	p.Check(func() error {
		if s.SkipVerify {
			p.Warn("unsafeSsl", "accepts any certificate: whoever is on the way can read and change the traffic; give the authority as ca instead")
		}
		return nil
	}, "unsafeSsl")
}

// Config makes a client configuration that trusts roots, or the system's when nil,
// and the CA besides. The errors are of kind Invalid and name the parameter that
// is wrong.
func (s Settings) Config(roots *x509.CertPool) (*tls.Config, error) {
	c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.SkipVerify} //nolint:gosec // the user asked for it by unsafeSsl, which warns
	if !s.CA.IsZero() {
		pool := besides(roots)
		if !pool.AppendCertsFromPEM([]byte(s.CA.Reveal())) {
			return nil, invalid("ca", "give the certificate authority as PEM text")
		}
		c.RootCAs = pool
	}
	if s.Cert.IsZero() || s.Key.IsZero() {
		return c, nil
	}
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair([]byte(s.Cert.Reveal()), key)
	if err != nil {
		return nil, invalid("cert", "give a certificate and its own key as PEM text")
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// besides returns a pool of the authorities trusted anyway, to be added to.
func besides(roots *x509.CertPool) *x509.CertPool {
	if roots != nil {
		return roots.Clone()
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return x509.NewCertPool()
	}
	return pool
}

// key returns the private key as plain PEM.
func (s Settings) key() ([]byte, error) {
	raw := []byte(s.Key.Reveal())
	if s.KeyPassword.IsZero() {
		return raw, nil
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, invalid("key", "give the key as PEM text")
	}
	key, err := pkcs8.ParsePKCS8PrivateKey(block.Bytes, []byte(s.KeyPassword.Reveal()))
	if err != nil {
		return nil, invalid("keyPassword", "give the password of an encrypted PKCS #8 key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, invalid("key", "give an RSA, ECDSA or Ed25519 key")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// invalid never holds the cause: it may quote the secret.
func invalid(name, hint string) error {
	return &scalers.Error{
		Kind: scalers.Invalid, Op: "reading TLS parameter " + name, Hint: hint,
		Err: errors.New("it cannot be used"),
	}
}
