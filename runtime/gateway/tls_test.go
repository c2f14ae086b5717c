package gateway_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
)

// certificate is one that trusts itself, and its key.
type certificate struct {
	leaf      *x509.Certificate
	key       *ecdsa.PrivateKey
	cert, pem []byte // of the certificate and of the key
}

func newCertificate(t *testing.T, serial int64, expires time.Time) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: expires.Add(-24 * time.Hour), NotAfter: expires,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate{leaf, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})}
}

// pairFiles are the files of a certificate and its key.
type pairFiles struct{ cert, key string }

func newPairFiles(t *testing.T) pairFiles {
	t.Helper()
	dir := t.TempDir()
	return pairFiles{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
}

func (f pairFiles) write(t *testing.T, cert, key []byte) {
	t.Helper()
	for file, text := range map[string][]byte{f.cert: cert, f.key: key} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// overTLS serves with a certificate, and returns a client that trusts it.
func overTLS(t *testing.T, opts ...gateway.Option) (*served, *tls.Config) {
	t.Helper()
	own := newCertificate(t, 1, time.Now().Add(time.Hour))
	files := newPairFiles(t)
	files.write(t, own.cert, own.pem)
	s := serve(t, append(opts, gateway.WithTLS(files.cert, files.key))...)
	s.url = strings.Replace(s.url, "http:", "https:", 1)
	pool := x509.NewCertPool()
	pool.AddCert(own.leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	s.http = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	return s, &tls.Config{RootCAs: pool, NextProtos: []string{"h2"}}
}

// TestTLS checks the protocols that a gateway with a certificate speaks.
func TestTLS(t *testing.T) {
	t.Parallel()
	s, _ := overTLS(t, gateway.WithDrain(0, time.Second))
	res, err := s.http.Post(s.url+"/quick", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 201 || res.ProtoMajor != 2 || res.TLS.Version != tls.VersionTLS13 || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s %s, TLS %x", res.Status, res.Proto, res.TLS.Version)
	}
	host := strings.TrimPrefix(s.url, "https://")
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true} {
		conn, err := tls.Dial("tcp", host, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version})
		if (err == nil) != ok {
			t.Errorf("TLS %x: %v", version, err)
		}
		if err == nil {
			conn.Close()
		}
	}
	plain, err := http.Get("http://" + host)
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != 400 {
		t.Errorf("a request without TLS: %s", plain.Status)
	}
}

// TestDrainTLS checks that a request over HTTP/2 in flight is answered while the gateway stops.
// The client keeps its connection, so the gateway ends only if it tells the client to go away.
func TestDrainTLS(t *testing.T) {
	t.Parallel()
	s, _ := overTLS(t, gateway.WithDrain(0, time.Minute))
	slow := make(chan string, 1)
	go func() {
		_, body, _, err := s.post("/slow")
		slow <- body + errText(err)
	}()
	<-s.entered
	s.stop()
	close(s.release)
	if got := <-slow; got != `"done"` {
		t.Errorf("the request got %s", got)
	}
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

// TestRotation checks that a certificate is replaced while the gateway serves, and that one that
// is not valid is not.
func TestRotation(t *testing.T) {
	t.Parallel()
	first, second := newCertificate(t, 1, time.Now().Add(time.Hour)), newCertificate(t, 2, time.Now().Add(2*time.Hour))
	expired := newCertificate(t, 3, time.Now().Add(-time.Hour))
	files := newPairFiles(t)
	files.write(t, first.cert, first.pem)
	log := &lines{}
	s := serve(t, gateway.WithLogger(slog.New(slog.NewJSONHandler(log, nil))), gateway.WithDrain(0, time.Second), gateway.WithTLS(files.cert, files.key))
	serial := func() int64 {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "http://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	// until waits for a line of the log, and returns the certificate that is served then.
	until := func(message, reason string) int64 {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			now := serial()
			for _, line := range log.all(t) {
				text, _ := line["error"].(string)
				if line["msg"] == message && strings.Contains(text, reason) {
					return now
				}
			}
			<-time.After(20 * time.Millisecond)
		}
		t.Fatalf("the log has no %q, %q: %v", message, reason, log.all(t))
		return 0
	}
	if got := serial(); got != 1 {
		t.Fatalf("certificate %d", got)
	}
	for reason, pair := range map[string][2][]byte{
		"private key does not match": {second.cert, first.pem},
		"has expired":                {expired.cert, expired.pem},
		"failed to find any PEM":     {[]byte("x"), first.pem},
	} {
		files.write(t, pair[0], pair[1])
		if got := until("the TLS certificate was not replaced", reason); got != 1 {
			t.Errorf("%s: certificate %d", reason, got)
		}
	}
	if err := os.Remove(files.key); err != nil {
		t.Fatal(err)
	}
	if got := until("the TLS certificate was not replaced", "TLS key: open"); got != 1 {
		t.Errorf("no key: certificate %d", got)
	}
	files.write(t, second.cert, second.pem)
	until("the TLS certificate was replaced", "")
	if got := serial(); got != 2 {
		t.Errorf("certificate %d after it was replaced", got)
	}
}

// TestClientCertificates checks that only clients with a certificate are served.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	client, other := newCertificate(t, 5, time.Now().Add(time.Hour)), newCertificate(t, 6, time.Now().Add(time.Hour))
	authorities := filepath.Join(t.TempDir(), "clients.pem")
	if err := os.WriteFile(authorities, client.cert, 0o600); err != nil {
		t.Fatal(err)
	}
	s, config := overTLS(t, gateway.WithDrain(0, time.Second), gateway.WithClientCertificates(authorities))
	for name, tt := range map[string]struct {
		with []certificate
		ok   bool
	}{"none": {nil, false}, "known": {[]certificate{client}, true}, "unknown": {[]certificate{other}, false}} {
		config := &tls.Config{RootCAs: config.RootCAs}
		for _, c := range tt.with {
			config.Certificates = append(config.Certificates, tls.Certificate{Certificate: [][]byte{c.leaf.Raw}, PrivateKey: c.key})
		}
		transport := &http.Transport{TLSClientConfig: config}
		res, err := (&http.Client{Transport: transport}).Post(s.url+"/quick", "application/json", nil)
		if err == nil {
			res.Body.Close()
		}
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		transport.CloseIdleConnections()
	}
}

// TestTLSFails checks that a gateway does not start without its certificate.
func TestTLSFails(t *testing.T) {
	t.Parallel()
	own := newCertificate(t, 1, time.Now().Add(time.Hour))
	files := newPairFiles(t)
	files.write(t, own.cert, own.pem)
	for want, opts := range map[string][]gateway.Option{
		"TLS certificate: open nowhere":       {gateway.WithTLS("nowhere", files.key)},
		"TLS key: open nowhere":               {gateway.WithTLS(files.cert, "nowhere")},
		"TLS certificate " + files.key:        {gateway.WithTLS(files.key, files.key)},
		"client certificates: open nowhere":   {gateway.WithTLS(files.cert, files.key), gateway.WithClientCertificates("nowhere")},
		"contains no certificate":             {gateway.WithTLS(files.cert, files.key), gateway.WithClientCertificates(files.key)},
		"WithClientCertificates(\"x\") requi": {gateway.WithClientCertificates("x")},
	} {
		if err := newGateway(opts...).Serve(t.Context(), "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// counting is a Conn whose exchanges last as long as their context, and that knows how many there
// were at once.
type counting struct {
	begun     chan struct{} // has room for one
	mu        sync.Mutex
	now, most int
}

func (c *counting) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

func (c *counting) counts() (now, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, c.most
}

func (c *counting) Exchange(ctx context.Context, _ *micro.Request, reply micro.Reply) error {
	c.add(1)
	defer c.add(-1)
	select {
	case c.begun <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
func (*counting) Publish(context.Context, *micro.Request) error { return nil }
func (*counting) Close() error                                  { return nil }

// TestRapidReset checks that a client that opens streams and resets them at once neither starts
// more work than a connection may have, nor disturbs others.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	own := newCertificate(t, 1, time.Now().Add(time.Hour))
	files := newPairFiles(t)
	files.write(t, own.cert, own.pem)
	work := &counting{begun: make(chan struct{}, 1)}
	gw := newGateway(gateway.WithTLS(files.cert, files.key), gateway.WithDrain(0, time.Minute))
	gateway.Route(gw, "GET /", micro.NewClient(work), micro.NewMethod[micro.None, json.RawMessage](echo), gateway.WithOperationID("root"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gw.ServeListener(ctx, l) }()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, conn) // until the connection ends
		close(read)
	}()
	first, rest := resets(20_000)
	if _, err := conn.Write(first); err != nil {
		t.Fatal(err)
	}
	<-work.begun
	if _, err := conn.Write(rest); err != nil {
		t.Logf("the gateway has closed the connection: %v", err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	res, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String() + "/health/live")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("another client gets %s", res.Status)
	}
	transport.CloseIdleConnections()
	conn.Close()
	<-read
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C { // a handler may outlive its connection
		if now, most := work.counts(); now == 0 {
			if most > 100 {
				t.Errorf("%d requests at once", most)
			}
			return
		}
	}
}

// resets returns the bytes of an HTTP/2 client that requests / on a stream, and then on n others,
// which it resets at once.
func resets(n uint32) (first, rest []byte) {
	b := bytes.NewBufferString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	frame := func(kind, flags byte, stream uint32, payload []byte) {
		head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
		b.Write(binary.BigEndian.AppendUint32(append(head, flags), stream))
		b.Write(payload)
	}
	frame(4, 0, 0, nil)                                      // SETTINGS
	header := append([]byte{0x82, 0x87, 0x84, 0x41, 1}, 'x') // :method GET, :scheme https, :path /, :authority x
	frame(1, 5, 1, header)                                   // HEADERS, the end of the header and of the stream
	first = bytes.Clone(b.Bytes())
	b.Reset()
	for i := range n {
		frame(1, 5, 2*i+3, header)
		frame(3, 0, 2*i+3, []byte{0, 0, 0, 8}) // RST_STREAM, CANCEL
	}
	return first, b.Bytes()
}
