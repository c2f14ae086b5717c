package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// Flags are the values of the flags that select a target and configure TLS.
type Flags struct {
	To            string
	CA, Cert, Key string
	Insecure      bool
	// MaxBuffer is the largest reply over TCP, in UTF-16 code units; 0 for the
	// transport's default.
	MaxBuffer int
	// Gateways lets a TARGET be a gateway of the workspace, followed by the path to
	// request.
	Gateways bool
	// Running returns what the workspace's `msctl run` uses; the zero Run when it is not
	// running. A nil func finds none.
	Running func(context.Context, *workspace.Workspace) Run
}

// Run is what a running `msctl run` of a workspace uses.
type Run struct {
	Brokers  map[string]string // the addresses of brokers, by transport
	Services map[string]string // the addresses of services with a port, host:port, by name
}

// DialOptions configure a connection. The zero value uses the transport's defaults.
type DialOptions struct {
	// ServerName is the name in the server's certificate; "" for the dialed host.
	ServerName string
	// Wait lets messages wait for an unreachable broker until their timeout. By
	// default they fail at once.
	Wait bool
	// MaxBuffer is that of Flags, which sets it.
	MaxBuffer int
	// Control may prevent connections.
	Control Control
	// Log receives problems that do not fail a message; nil discards them.
	Log *slog.Logger
}

// Listener is a listener that reports when it is ready.
type Listener interface {
	micro.Listener
	Ready(context.Context) error
}

// Dial returns a connection to a target, which connects with the first message. The
// error is a usage error.
func (f *Flags) Dial(t Target, o DialOptions) (micro.Conn, error) {
	config, err := f.configFor(t)
	if err != nil {
		return nil, err
	}
	if config != nil {
		config.ServerName = o.ServerName
	}
	o.MaxBuffer = f.MaxBuffer
	transport := t.transport()
	if transport.prepare != nil {
		if err := transport.prepare(t); err != nil {
			return nil, err
		}
	}
	if err := f.CheckBuffer(t); err != nil {
		return nil, err
	}
	switch {
	case transport.dial == nil:
		return nil, exit.WithHint(exit.Usagef("%s is an HTTP target, which only `msctl bench` supports", t), "use tcp://host:port")
	case t.Broker == nil:
		return transport.dial(t, config, o), nil
	}
	conn := transport.dial(t, config, o)
	if o.Wait || t.Kind() == Redis { // its client fails at once by itself
		return conn, nil
	}
	return &probedConn{Conn: conn, addresses: t.Addresses}, nil
}

// CheckBuffer rejects --max-buffer-size for a target whose transport has no such limit.
func (f *Flags) CheckBuffer(t Target) error {
	if f.MaxBuffer != 0 && t.Kind() != TCP {
		return exit.Usagef("--max-buffer-size requires a TCP target, and %s is not one", t)
	}
	return nil
}

// Listen returns the listener of a service behind a broker. The error is a usage
// error.
func (f *Flags) Listen(t Target) (Listener, error) {
	config, err := f.configFor(t)
	if err != nil {
		return nil, err
	}
	transport := t.transport()
	if transport.prepare != nil {
		if err := transport.prepare(t); err != nil {
			return nil, err
		}
	}
	return transport.listen(t, config), nil
}

// configFor returns the TLS configuration for a target; nil for one without TLS.
func (f *Flags) configFor(t Target) (*tls.Config, error) {
	if !t.Encrypted() {
		return nil, f.CheckTLS(t)
	}
	return f.TLSConfig()
}

// CheckTLS rejects the TLS flags for a target without TLS.
func (f *Flags) CheckTLS(t Target) error {
	if t.Encrypted() {
		return nil
	}
	var encrypted []string
	for _, s := range Schemes() {
		if s.tls {
			encrypted = append(encrypted, s.Name+"://")
		}
	}
	last := len(encrypted) - 1
	return exit.WithHint(f.NoTLS(), "use %s, or %s instead of %s", strings.Join(encrypted[:last], ", "), encrypted[last], t)
}

// NoTLS rejects the TLS flags.
func (f *Flags) NoTLS() error {
	if f.CA == "" && f.Cert == "" && f.Key == "" && !f.Insecure {
		return nil
	}
	return exit.Usagef("--ca, --cert, --key, and --insecure require a TLS target")
}

// TLSConfig returns the TLS configuration that the flags describe.
func (f *Flags) TLSConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: f.Insecure}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, exit.Usagef("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, exit.Usagef("--ca: %s contains no PEM certificate", f.CA)
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, exit.Usagef("--cert and --key must be used together")
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, exit.Usagef("--cert and --key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
