package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/msctl/msctl/runtime/gateway/internal/certs"
)

// tlsConfig holds the files of WithTLS and WithClientCertificates. They are empty without TLS.
type tlsConfig struct{ cert, key, clients string }

// WithTLS serves HTTPS, with HTTP/2 for clients that support it, with the certificate chain and
// the private key in PEM files. Files that are replaced are used within a second, without a
// restart; if they are not valid, the previous certificate stays, and the log has the reason.
// The protocol is TLS 1.2 or 1.3, with Go's choice of ciphers. Serve fails if the files cannot be
// read. A supervisor's probe ([Gateway.Serve]) is not encrypted.
func WithTLS(certFile, keyFile string) Option {
	return gatewayOption(func(g *Gateway) { g.tls.cert, g.tls.key = certFile, keyFile })
}

// WithClientCertificates admits only clients with a certificate that an authority in the PEM file
// has issued. It requires [WithTLS], and does not replace authentication: it is for a gateway
// that only other programs reach.
func WithClientCertificates(authorities string) Option {
	return gatewayOption(func(g *Gateway) { g.tls.clients = authorities })
}

// serverTLS returns the TLS configuration of the server; nil without TLS.
func (g *Gateway) serverTLS() (*tls.Config, error) {
	if g.tls.cert == "" && g.tls.key == "" {
		if g.tls.clients != "" {
			return nil, fmt.Errorf("WithClientCertificates(%q) requires WithTLS", g.tls.clients)
		}
		return nil, nil
	}
	files, err := certs.Load(g.tls.cert, g.tls.key, g.log)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: files.Get,
		// Without the list, net/http has no HTTP/2 if it serves the plain probe first.
		NextProtos: []string{"h2", "http/1.1"},
	}
	if g.tls.clients == "" {
		return config, nil
	}
	pem, err := os.ReadFile(g.tls.clients)
	if err != nil {
		return nil, fmt.Errorf("client certificates: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client certificates: %s contains no certificate", g.tls.clients)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

// http2Limits are the limits of an HTTP/2 connection. net/http runs at most as many handlers as
// streams, also for streams that the client resets at once.
func http2Limits() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: 100,              // what RFC 9113 asks for at least
		SendPingTimeout:      30 * time.Second, // notices clients that have vanished
		PingTimeout:          15 * time.Second,
		WriteByteTimeout:     30 * time.Second, // disconnects clients that read nothing
	}
}
