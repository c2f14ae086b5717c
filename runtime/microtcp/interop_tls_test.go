package microtcp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// identity is a certificate for 127.0.0.1 that is its own authority, in memory and as the files that Node.js reads.
type identity struct {
	certificate     tls.Certificate
	pool            *x509.CertPool
	certPath, keyAt string
}

func newIdentity(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "msctl test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	id := identity{pool: x509.NewCertPool(), certPath: filepath.Join(t.TempDir(), "cert.pem"), keyAt: filepath.Join(t.TempDir(), "key.pem")}
	id.pool.AppendCertsFromPEM(certPEM)
	if id.certificate, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(id.certPath, certPEM, 0o600), os.WriteFile(id.keyAt, keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestTLSWithNest talks to NestJS over TLS and over mutual TLS, both ways, and is refused without the right certificate.
func TestTLSWithNest(t *testing.T) {
	id := newIdentity(t)
	ourServer := &tls.Config{
		Certificates: []tls.Certificate{id.certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    id.pool,
	}
	ourClient := &tls.Config{RootCAs: id.pool, Certificates: []tls.Certificate{id.certificate}}
	files := []string{"--tls-ca", id.certPath, "--tls-key", id.keyAt, "--tls-cert", id.certPath}
	for _, version := range testenv.LiveVersions() {
		t.Run("our client, NestJS "+string(version), func(t *testing.T) {
			t.Parallel()
			server := testenv.Nest(t, version, append(files, "--tls-request-cert")...)
			client := micro.NewClient(microtcp.Dial(server.Addr, microtcp.WithTLS(ourClient)))
			defer client.Close()
			got, err := micro.Call[string](t.Context(), client, micro.Name("echo"), "a😀b")
			if got != "a😀b" || err != nil {
				t.Errorf("echo over mutual TLS: %q, %v", got, err)
			}
			nobody := micro.NewClient(microtcp.Dial(server.Addr, microtcp.WithTLS(&tls.Config{RootCAs: id.pool})))
			defer nobody.Close()
			_, err = micro.Call[string](t.Context(), nobody, micro.Name("echo"), "x")
			if !errors.Is(err, micro.ErrConnectionLost) && !errors.Is(err, micro.ErrUnreachable) {
				t.Errorf("echo without a client certificate: %v", err)
			}
		})
		t.Run("our server, NestJS "+string(version), func(t *testing.T) {
			t.Parallel()
			w := startTwin(t, microtcp.WithTLS(ourServer))
			client := testenv.NestClient(t, version, append(files, "--port", portOf(t, w.addr))...)
			events, err := client.Call(testenv.Call{Pattern: json.RawMessage(`"echo"`), Data: json.RawMessage(`"a😀b"`)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := lineDiff([]string{`{"next":"a😀b"}`, `{"complete":true}`}, texts(events)); diff != "" {
				t.Errorf("echo over mutual TLS:\n%s", diff)
			}
			nobody := testenv.NestClient(t, version, "--tls-ca", id.certPath, "--port", portOf(t, w.addr))
			events, err = nobody.Call(testenv.Call{Pattern: json.RawMessage(`"echo"`)})
			if err != nil || len(events) != 1 || events[0].Kind != "error" {
				t.Errorf("echo without a client certificate: %v, %v", events, err)
			}
		})
	}
}

func texts(events []testenv.Event) []string {
	var out []string
	for _, event := range events {
		out = append(out, fmt.Sprint(event))
	}
	return out
}
