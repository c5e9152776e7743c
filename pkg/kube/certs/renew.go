package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	servingLife   = 365 * 24 * time.Hour

	// backdate is how far a certificate's life begins before it is made, for
	// clients whose clocks are behind ours.
	backdate = 5 * time.Minute

	// settle is how long a new authority is shown before it signs anything that
	// can wait: far longer than replicas and aggregators lag behind. Two thirds
	// of the two lives fall on the same day every ten certificates.
	settle = 7 * 24 * time.Hour
)

// material is the content of the Secret, parsed.
type material struct {
	cert, key []byte              // the serving certificate and its key, PEM
	bundle    []*x509.Certificate // authorities; the first has caKey, the others are on their way out
	caKey     crypto.Signer
}

// renew returns what the Secret has to hold at now, given what it holds, and
// the reasons for each difference; without reasons data is right as it is.
// Whatever it cannot use it makes anew; the error concerns only the making.
//
// When certificate and authority are due together, the old authority signs
// the certificate once more: clients do not know the new authority yet.
func renew(data map[string][]byte, names []string, now time.Time) (map[string][]byte, []string, error) {
	m, fault := parse(data, now)
	var reasons []string
	if fault != "" {
		if err := m.addAuthority(now); err != nil {
			return nil, nil, err
		}
		reasons = append(reasons, fault)
	}
	if m.trim(now) {
		reasons = append(reasons, "an old certificate authority has had its time")
	}
	if fault := m.servingFault(names, now); fault != "" {
		if err := m.certify(names, now); err != nil {
			return nil, nil, err
		}
		reasons = append(reasons, fault)
	}
	if due(m.bundle[0], now) {
		if err := m.addAuthority(now); err != nil {
			return nil, nil, err
		}
		reasons = append(reasons, "the certificate authority is due for renewal")
	}
	if len(reasons) == 0 {
		return data, nil, nil
	}
	out, err := m.encode()
	return out, reasons, err
}

// parse reads data as far as it can be used at now. The fault says why the
// authority cannot sign, and is empty when it can.
func parse(data map[string][]byte, now time.Time) (m material, fault string) {
	m.cert, m.key = data[certName], data[keyName]
	bundle, err := parseBundle(data[caName])
	if len(data[caName]) == 0 && len(data[caKeyName]) == 0 {
		return m, "there is no certificate authority yet"
	}
	signs := len(bundle) > 0 && bundle[0].IsCA && !expired(bundle[0], now)
	m.bundle = slices.DeleteFunc(bundle, func(c *x509.Certificate) bool { return expired(c, now) })
	switch {
	case err != nil:
		return m, caName + " is not readable"
	case !signs:
		return m, "the certificate authority has expired or may not sign"
	}
	m.caKey, err = parseKey(data[caKeyName])
	if err != nil {
		return m, caKeyName + " is not readable"
	}
	if public, ok := m.bundle[0].PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(m.caKey.Public()) {
		return m, caKeyName + " does not belong to the first certificate of " + caName
	}
	return m, ""
}

// parseBundle returns the certificates before the first fault.
func parseBundle(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := data; len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return out, errors.New("not PEM")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return out, err
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, errors.New("empty")
	}
	return out, nil
}

func parseKey(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not a PKCS #8 key")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("not a key that can sign")
	}
	return signer, nil
}

// trim drops the old authorities once nothing they signed can still be valid,
// which is a certificate life after the first authority was added. It reports
// whether it dropped any.
func (m *material) trim(now time.Time) bool {
	if len(m.bundle) < 2 || now.Before(m.bundle[0].NotBefore.Add(backdate+servingLife)) {
		return false
	}
	m.bundle = m.bundle[:1]
	return true
}

// servingFault says why the serving certificate has to be made anew; it is
// empty when the certificate is good.
func (m *material) servingFault(names []string, now time.Time) string {
	if len(m.cert) == 0 && len(m.key) == 0 {
		return "there is no serving certificate yet"
	}
	parsed, err := tls.X509KeyPair(m.cert, m.key)
	if err != nil {
		return certName + " and " + keyName + " are not readable or do not belong together"
	}
	roots := x509.NewCertPool()
	for _, ca := range m.bundle {
		roots.AddCert(ca)
	}
	if settled := !now.Before(m.bundle[0].NotBefore.Add(backdate + settle)); settled && due(parsed.Leaf, now) {
		return "the serving certificate is due for renewal"
	}
	if _, err := parsed.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now}); err != nil {
		return "the serving certificate has expired or is not of our certificate authority"
	}
	for _, name := range names {
		if parsed.Leaf.VerifyHostname(name) != nil {
			return "the serving certificate lacks the name " + name
		}
	}
	return ""
}

// addAuthority puts a new authority first. The others stay for the clients
// that do not know it, and for the certificates they have signed.
func (m *material) addAuthority(now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key for the certificate authority: %w", err)
	}
	template, err := template(now, authorityLife)
	if err != nil {
		return err
	}
	// The subject differs from authority to authority, or a chain could be
	// looked for under the wrong one.
	template.Subject = pkix.Name{CommonName: "weir certificate authority " + template.SerialNumber.Text(36)}
	template.IsCA, template.MaxPathLenZero = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("making a certificate authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading the certificate authority just made: %w", err)
	}
	m.bundle, m.caKey = slices.Insert(m.bundle, 0, cert), key
	return nil
}

// certify makes a serving certificate for names, signed by the first authority.
func (m *material) certify(names []string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key for the serving certificate: %w", err)
	}
	template, err := template(now, servingLife)
	if err != nil {
		return err
	}
	if end := m.bundle[0].NotAfter; end.Before(template.NotAfter) {
		template.NotAfter = end
	}
	template.Subject = pkix.Name{CommonName: "weir"}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, m.bundle[0], key.Public(), m.caKey)
	if err != nil {
		return fmt.Errorf("making the serving certificate: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	m.cert, m.key = encodeCert(der), keyPEM
	return nil
}

func (m *material) encode() (map[string][]byte, error) {
	caKey, err := encodeKey(m.caKey)
	if err != nil {
		return nil, err
	}
	var bundle []byte
	for _, ca := range m.bundle {
		bundle = append(bundle, encodeCert(ca.Raw)...)
	}
	return map[string][]byte{certName: m.cert, keyName: m.key, caName: bundle, caKeyName: caKey}, nil
}

func template(now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		NotBefore:             now.Add(-backdate).UTC(),
		NotAfter:              now.Add(life).UTC(),
		BasicConstraintsValid: true,
	}, nil
}

// due reports whether two thirds of the certificate's life are over.
func due(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 3 * 2))
}

func expired(c *x509.Certificate, now time.Time) bool {
	return now.After(c.NotAfter)
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ServiceNames returns the names under which a Service is reached inside the
// cluster, shortest first. An empty domain means cluster.local.
func ServiceNames(service, namespace, domain string) []string {
	if domain == "" {
		domain = "cluster.local"
	}
	base := service + "." + namespace
	return []string{service, base, base + ".svc", base + ".svc." + strings.Trim(domain, ".")}
}
