package microtcp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// authority signs the certificates of one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert = a.sign(t, template, template, &a.key.PublicKey)
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(t testing.TB, template, parent *x509.Certificate, key *ecdsa.PublicKey) *x509.Certificate {
	t.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue makes a certificate for 127.0.0.1.
func (a *authority) issue(t testing.TB) tls.Certificate {
	t.Helper()
	key := newKey(t)
	cert := a.sign(t, &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a.cert, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	s := start(t, quietServer(), WithTLS(&tls.Config{Certificates: []tls.Certificate{ours.issue(t)}}))
	mutual := start(t, quietServer(), WithTLS(&tls.Config{Certificates: []tls.Certificate{ours.issue(t)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool}))
	for _, c := range []struct {
		name   string
		addr   string
		config *tls.Config
		is     error // nil: answered
	}{
		{"trusted", s.addr, &tls.Config{RootCAs: ours.pool}, nil},
		{"not trusted", s.addr, &tls.Config{RootCAs: others.pool}, micro.ErrUnreachable},
		{"mutual", mutual.addr, &tls.Config{RootCAs: ours.pool, Certificates: []tls.Certificate{ours.issue(t)}}, nil},
		{"without a certificate", mutual.addr, &tls.Config{RootCAs: ours.pool}, micro.ErrConnectionLost},
		{"with another's certificate", mutual.addr, &tls.Config{RootCAs: ours.pool, Certificates: []tls.Certificate{others.issue(t)}}, micro.ErrConnectionLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := client(t, c.addr, WithTLS(c.config))
			text := strings.Repeat("é😀", 50_000)
			got, err := micro.Call[string](t.Context(), cl, echo, text)
			if !errors.Is(err, c.is) || c.is == nil && got != text {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	plain := client(t, s.addr)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, err := micro.Call[string](ctx, plain, echo, "x"); !errors.Is(err, micro.ErrConnectionLost) {
		t.Errorf("without TLS: %v", err)
	}
}

// TestSilentAddress: an address that accepts connections and sends nothing, here
// because the handshake of TLS never ends, costs no call once another is known to
// work.
func TestSilentAddress(t *testing.T) {
	ours := newAuthority(t)
	r := start(t, quietServer(), WithTLS(&tls.Config{Certificates: []tls.Certificate{ours.issue(t)}}))
	silent := listen(t)
	conn := Dial(r.addr+","+silent.Addr().String(), WithTLS(&tls.Config{RootCAs: ours.pool}))
	c := micro.NewClient(conn)
	defer func() { _ = c.Close() }()
	first := &micro.Request{Pattern: echo, Data: []byte(`"x"`), Deadline: time.Now().Add(soon)}
	if err := conn.addresses[0].exchange(t.Context(), first, micro.ReplyFunc(func(micro.Value) error { return nil })); err != nil {
		t.Fatal(err)
	}
	within(t, "calls next to a silent address", func() {
		for i := range 100 {
			if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
	})
}

// TestTLSDrain: calls in flight over TLS are answered too, and a peer that never
// finished its handshake holds nothing up.
func TestTLSDrain(t *testing.T) {
	ours := newAuthority(t)
	s := quietServer(micro.WithDrainTimeout(500 * time.Millisecond))
	entered, release := make(chan struct{}), make(chan struct{})
	micro.Handle(s, hold, func(context.Context, int) (int, error) {
		close(entered)
		<-release
		return 1, nil
	})
	r := start(t, s, WithTLS(&tls.Config{Certificates: []tls.Certificate{ours.issue(t)}}))
	c := client(t, r.addr, WithTLS(&tls.Config{RootCAs: ours.pool}))
	_ = dialPeer(t, r.addr)
	got := make(chan error)
	go func() {
		_, err := micro.Call[int](t.Context(), c, hold, 1)
		got <- err
	}()
	<-entered
	r.stop()
	close(release)
	if err := <-got; err != nil {
		t.Error(err)
	}
	began := time.Now()
	r.end(t)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the drain took %v", took)
	}
}
