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
	"github.com/msctl/msctl/runtime/microtcp"
)

// targetFlags are the flags that say whom to talk to, and how safely.
type Flags struct {
	To            string
	CA, Cert, Key string
	Insecure      bool
	// running returns where the brokers of the workspace's `msctl run` are, by
	// transport; nil where none is running. A nil func knows of none.
	Running func(context.Context, *workspace.Workspace) map[string]string
}

// dialLimits are what a connection is bounded by. The zero value is the
// transports' own bounds.
type Limits struct {
	// maxInFlight bounds the calls at once.
	MaxInFlight int
	// serverName is whose certificate is expected; "" is the host that is dialled.
	ServerName string
	// patient waits for a broker that is not there, as long as the message may.
	Patient bool
	// log is told of what goes wrong without failing a message; nil is nobody.
	Log *slog.Logger
}

// dial makes the connection to a target: the one list of transports. Nothing is
// connected before the first message. Errors are usage errors.
func (f *Flags) Dial(t Target, limits Limits) (micro.Conn, error) {
	if err := f.CheckTLS(t); err != nil {
		return nil, err
	}
	var config *tls.Config
	if t.Encrypted() {
		var err error
		if config, err = f.TLSConfig(); err != nil {
			return nil, err
		}
		config.ServerName = limits.ServerName
	}
	switch {
	case t.Scheme == SchemeTCP, t.Scheme == SchemeTLS:
		return dialTCP(t, config, limits), nil
	case t.Broker == nil:
		return nil, exit.WithHint(exit.Usagef("%s takes no messages: http targets are for `msctl bench`", t), "use tcp://host:port")
	default:
		return dialBroker(t, config, limits), nil
	}
}

func dialTCP(t Target, config *tls.Config, limits Limits) micro.Conn {
	var opts []microtcp.DialOption
	if limits.MaxInFlight > 0 {
		opts = append(opts, microtcp.WithMaxInFlight(limits.MaxInFlight))
	}
	if config != nil {
		opts = append(opts, microtcp.WithTLS(config))
	}
	return microtcp.Dial(t.List(), opts...)
}

// checkTLS refuses the flags of TLS for a target without it.
func (f *Flags) CheckTLS(t Target) error {
	if t.Encrypted() {
		return nil
	}
	err := f.NoTLS()
	if err == nil {
		return nil
	}
	var encrypted []string
	for _, s := range Schemes() {
		if s.tls {
			encrypted = append(encrypted, s.Name+"://")
		}
	}
	return exit.WithHint(err, "they go with a target over TLS (%s), not with %s", strings.Join(encrypted, ", "), t)
}

// noTLS refuses the flags of TLS.
func (f *Flags) NoTLS() error {
	if f.CA == "" && f.Cert == "" && f.Key == "" && !f.Insecure {
		return nil
	}
	return exit.Usagef("--ca, --cert, --key and --insecure are for TLS, which this target has not")
}

func (f *Flags) TLSConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: f.Insecure}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, exit.Usagef("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, exit.Usagef("--ca: %s holds no certificate in PEM form", f.CA)
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, exit.Usagef("--cert and --key go together")
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
