package controlplane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity of every certificate: a plane is thrown away long before.
const validity = 30 * 24 * time.Hour

// files are the paths of the keys and certificates that the components read.
type files struct {
	clusterCA                     string
	servingCert, servingKey       string
	frontProxyCA                  string
	frontProxyCert, frontProxyKey string
	serviceAccountKey             string
}

// frontProxyName is the only name that aggregated API servers accept from the aggregator.
const frontProxyName = "front-proxy-client"

// writePKI makes two authorities (cluster and front proxy), the API server's
// serving certificate, the aggregator's client certificate and the key that
// signs service account tokens. It returns the cluster's CA as PEM.
func writePKI(dir string) (files, []byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return files{}, nil, fmt.Errorf("making the folder of the keys: %w", err)
	}
	w := pemWriter{dir: dir}
	cluster := w.authority("weir-testcluster")
	front := w.authority("weir-testcluster-front-proxy")
	serving := w.issue(cluster, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(serviceIP)},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
	})
	proxy := w.issue(front, &x509.Certificate{
		Subject:     pkix.Name{CommonName: frontProxyName},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	f := files{
		clusterCA:         w.certificate("ca.crt", cluster),
		servingCert:       w.certificate("serving.crt", serving),
		servingKey:        w.key("serving.key", serving.key),
		frontProxyCA:      w.certificate("front-proxy-ca.crt", front),
		frontProxyCert:    w.certificate("front-proxy.crt", proxy),
		frontProxyKey:     w.key("front-proxy.key", proxy.key),
		serviceAccountKey: w.key("service-account.key", w.newKey()),
	}
	if w.err != nil {
		return files{}, nil, fmt.Errorf("making keys and certificates: %w", w.err)
	}
	return f, encodePEM("CERTIFICATE", cluster.cert.Raw), nil
}

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// pemWriter makes and writes keys; after the first error it does nothing more.
type pemWriter struct {
	dir    string
	serial int64
	err    error
}

func (w *pemWriter) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil && w.err == nil {
		w.err = err
	}
	return key
}

func (w *pemWriter) authority(name string) pair {
	return w.sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, nil)
}

func (w *pemWriter) issue(ca pair, cert *x509.Certificate) pair {
	cert.KeyUsage = x509.KeyUsageDigitalSignature
	return w.sign(cert, &ca)
}

// sign completes the certificate and signs it; a nil authority means itself.
func (w *pemWriter) sign(cert *x509.Certificate, ca *pair) pair {
	key := w.newKey()
	if w.err != nil {
		return pair{}
	}
	w.serial++
	cert.SerialNumber = big.NewInt(w.serial)
	cert.NotBefore = time.Now().Add(-time.Hour)
	cert.NotAfter = time.Now().Add(validity)
	if ca == nil {
		ca = &pair{cert: cert, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca.cert, key.Public(), crypto.Signer(ca.key))
	if err != nil {
		w.err = err
		return pair{}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		w.err = err
	}
	return pair{cert: parsed, key: key}
}

func (w *pemWriter) certificate(name string, p pair) string {
	if w.err != nil {
		return ""
	}
	return w.write(name, encodePEM("CERTIFICATE", p.cert.Raw))
}

func (w *pemWriter) key(name string, key *ecdsa.PrivateKey) string {
	if w.err != nil {
		return ""
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		w.err = err
		return ""
	}
	return w.write(name, encodePEM("EC PRIVATE KEY", der))
}

func (w *pemWriter) write(name string, content []byte) string {
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.err = err
	}
	return path
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
