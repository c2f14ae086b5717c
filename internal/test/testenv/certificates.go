package testenv

import (
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
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates is a certificate authority for one test, with a certificate for 127.0.0.1 that both servers and clients can
// use. The files are PEM files. They are removed when the test ends.
type Certificates struct {
	CAFile, CertFile, KeyFile string

	Client *tls.Config // trusts the authority and presents the certificate
}

// NewCertificates creates certificates that are valid for an hour.
func NewCertificates(tb testing.TB) *Certificates {
	tb.Helper()
	dir := tb.TempDir()
	c := &Certificates{
		CAFile:   filepath.Join(dir, "ca.pem"),
		CertFile: filepath.Join(dir, "cert.pem"),
		KeyFile:  filepath.Join(dir, "key.pem"),
	}
	if err := c.make(); err != nil {
		tb.Fatalf("make certificates: %v", err)
	}
	return c
}

// Trusting returns the configuration of a client that trusts the authority and has no certificate.
func (c *Certificates) Trusting() *tls.Config { return &tls.Config{RootCAs: c.Client.RootCAs} }

// Server returns the configuration of a server that requires no certificates of clients.
func (c *Certificates) Server() *tls.Config {
	return &tls.Config{Certificates: c.Client.Certificates}
}

// MutualServer returns the configuration of a server that requires a certificate of the authority.
func (c *Certificates) MutualServer() *tls.Config {
	return &tls.Config{Certificates: c.Client.Certificates, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: c.Client.RootCAs}
}

// Redis returns the lines of redis.conf for a broker that accepts only TLS, without client certificates.
func (c *Certificates) Redis() []string {
	return []string{
		"port 0", "tls-port {port}", "tls-auth-clients no",
		"tls-ca-cert-file " + c.CAFile, "tls-cert-file " + c.CertFile, "tls-key-file " + c.KeyFile,
	}
}

// NATS returns the configuration of a NATS server that accepts only TLS, without client certificates.
func (c *Certificates) NATS() []string {
	return []string{fmt.Sprintf("tls { ca_file: %q, cert_file: %q, key_file: %q }", c.CAFile, c.CertFile, c.KeyFile)}
}

// RabbitMQ returns the lines of rabbitmq.conf for a broker that accepts only TLS, without client certificates.
func (c *Certificates) RabbitMQ() []string {
	return []string{
		"listeners.tcp = none", "listeners.ssl.1 = 127.0.0.1:{port}", "ssl_options.verify = verify_none",
		"ssl_options.cacertfile = " + c.CAFile, "ssl_options.certfile = " + c.CertFile, "ssl_options.keyfile = " + c.KeyFile,
	}
}

func (c *Certificates) make() error {
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "msctl test authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityKey, authorityDER, err := sign(authority, authority, nil)
	if err != nil {
		return err
	}
	key, der, err := sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, authority, authorityKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	trusted, err := x509.ParseCertificate(authorityDER)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AddCert(trusted)
	c.Client = &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return errors.Join(
		writePEM(c.CAFile, "CERTIFICATE", authorityDER),
		writePEM(c.CertFile, "CERTIFICATE", der),
		writePEM(c.KeyFile, "PRIVATE KEY", keyDER),
	)
}

// sign creates a key and its certificate. Without a parent's key the certificate is self-signed.
func sign(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parentKey == nil {
		parentKey = key
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	return key, der, err
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
