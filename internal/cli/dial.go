package cli

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// targetFlags are the flags that say whom to talk to, and how safely.
type targetFlags struct {
	to            string
	ca, cert, key string
	insecure      bool
}

// register adds the flags to a command; heading is theirs in its help.
func (f *targetFlags) register(cmd *cobra.Command, heading string) {
	cmd.Flags().StringVarP(&f.to, "to", "t", "", "send to `TARGET`: a service's name, tcp://host:port, amqp://host/queue, redis://host, nats://host")
	completes(cmd)
	f.registerTLS(cmd, heading)
	groupFlags(cmd, heading, "to")
}

// completes has shells complete the flag --to.
func completes(cmd *cobra.Command) {
	if err := cmd.RegisterFlagCompletionFunc("to", completeTarget); err != nil {
		panic(err) // the command has no such flag
	}
}

// registerTLS adds only the flags of TLS, for commands that take the target as
// an argument.
func (f *targetFlags) registerTLS(cmd *cobra.Command, heading string) {
	cmd.Flags().StringVar(&f.ca, "ca", "", "TLS: trust the certificates in `FILE` (PEM) instead of the system's")
	cmd.Flags().StringVar(&f.cert, "cert", "", "TLS: show the certificate in `FILE` (PEM) to the service")
	cmd.Flags().StringVar(&f.key, "key", "", "TLS: its private key is in `FILE` (PEM)")
	cmd.Flags().BoolVar(&f.insecure, "insecure", false, "TLS: trust any certificate")
	groupFlags(cmd, heading, "ca", "cert", "key", "insecure")
}

// dialLimits are what a connection is bounded by. The zero value is the
// transports' own bounds.
type dialLimits struct {
	// maxInFlight bounds the calls at once.
	maxInFlight int
	// serverName is whose certificate is expected; "" is the host that is dialled.
	serverName string
	// patient waits for a broker that is not there, as long as the message may.
	patient bool
	// log is told of what goes wrong without failing a message; nil is nobody.
	log *slog.Logger
}

// dial makes the connection to a target: the one list of transports. Nothing is
// connected before the first message. Errors are usage errors.
func (f *targetFlags) dial(t target, limits dialLimits) (micro.Conn, error) {
	if err := f.checkTLS(t); err != nil {
		return nil, err
	}
	var config *tls.Config
	if t.encrypted() {
		var err error
		if config, err = f.tlsConfig(); err != nil {
			return nil, err
		}
		config.ServerName = limits.serverName
	}
	switch {
	case t.scheme == schemeTCP, t.scheme == schemeTLS:
		return dialTCP(t, config, limits), nil
	case t.broker == nil:
		return nil, withHint(usagef("%s takes no messages: http targets are for `msctl bench`", t), "use tcp://host:port")
	default:
		return dialBroker(t, config, limits), nil
	}
}

func dialTCP(t target, config *tls.Config, limits dialLimits) micro.Conn {
	var opts []microtcp.DialOption
	if limits.maxInFlight > 0 {
		opts = append(opts, microtcp.WithMaxInFlight(limits.maxInFlight))
	}
	if config != nil {
		opts = append(opts, microtcp.WithTLS(config))
	}
	return microtcp.Dial(t.list(), opts...)
}

// checkTLS refuses the flags of TLS for a target without it.
func (f *targetFlags) checkTLS(t target) error {
	if t.encrypted() {
		return nil
	}
	err := f.noTLS()
	if err == nil {
		return nil
	}
	var encrypted []string
	for _, s := range schemes() {
		if s.tls {
			encrypted = append(encrypted, s.name+"://")
		}
	}
	return withHint(err, "they go with a target over TLS (%s), not with %s", strings.Join(encrypted, ", "), t)
}

// noTLS refuses the flags of TLS.
func (f *targetFlags) noTLS() error {
	if f.ca == "" && f.cert == "" && f.key == "" && !f.insecure {
		return nil
	}
	return usagef("--ca, --cert, --key and --insecure are for TLS, which this target has not")
}

func (f *targetFlags) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: f.insecure}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, usagef("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("--ca: %s holds no certificate in PEM form", f.ca)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, usagef("--cert and --key go together")
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, usagef("--cert and --key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
