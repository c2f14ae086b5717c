package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
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
	cmd.Flags().StringVarP(&f.to, "to", "t", "", "send to `TARGET`: a service's name, tcp://host:port, tls://host:port")
	f.registerTLS(cmd, heading)
	groupFlags(cmd, heading, "to")
}

// registerTLS adds only the flags of TLS, for commands that take the target as
// an argument.
func (f *targetFlags) registerTLS(cmd *cobra.Command, heading string) {
	cmd.Flags().StringVar(&f.ca, "ca", "", "tls: trust the certificates in `FILE` (PEM) instead of the system's")
	cmd.Flags().StringVar(&f.cert, "cert", "", "tls: show the certificate in `FILE` (PEM) to the service")
	cmd.Flags().StringVar(&f.key, "key", "", "tls: its private key is in `FILE` (PEM)")
	cmd.Flags().BoolVar(&f.insecure, "insecure", false, "tls: trust any certificate")
	groupFlags(cmd, heading, "ca", "cert", "key", "insecure")
}

// dial makes the connection to a target: the one list of transports. Nothing is
// connected before the first message. Errors are usage errors.
func (f *targetFlags) dial(t target, opts ...microtcp.DialOption) (micro.Conn, error) {
	if err := f.checkTLS(t); err != nil {
		return nil, err
	}
	switch t.scheme {
	case schemeTCP:
		return microtcp.Dial(t.list(), opts...), nil
	case schemeTLS:
		config, err := f.tlsConfig()
		if err != nil {
			return nil, err
		}
		return microtcp.Dial(t.list(), append(opts, microtcp.WithTLS(config))...), nil
	}
	return nil, withHint(usagef("%s takes no messages: http targets are for `msctl bench`", t), "use tcp://host:port")
}

// checkTLS refuses the flags of TLS for a target without it.
func (f *targetFlags) checkTLS(t target) error {
	if t.scheme != schemeTLS && (f.ca != "" || f.cert != "" || f.key != "" || f.insecure) {
		return usagef("--ca, --cert, --key and --insecure go with a tls:// target, not with %s", t)
	}
	return nil
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

// explain makes the person's sentence out of what a call of a target ended
// with, with the hint that fits. The exit code is exitCode's affair.
func explain(err error, t target) error {
	var remote *micro.Error
	switch {
	case err == nil, errors.As(err, &remote) && remote.Remote():
		return err
	case errors.Is(err, micro.ErrUnreachable):
		err = &sentence{"cannot reach " + t.name() + atAddress(t) + ": " + rootCause(err), err}
		if t.service != "" {
			return withHint(err, "start it with `msctl run %s`", t.service)
		}
		return withHint(err, "is it running there? another address goes in --to")
	case errors.Is(err, micro.ErrConnectionLost):
		return &sentence{t.name() + " closed the connection before it had answered", err}
	case errors.Is(err, micro.ErrTimeout):
		return withHint(&sentence{t.name() + " did not answer in time", err}, "a longer --timeout waits longer")
	}
	return err
}

// sentence is an error with another text: what a person reads, over what
// happened.
type sentence struct {
	text string
	err  error
}

func (e *sentence) Error() string { return e.text }
func (e *sentence) Unwrap() error { return e.err }

func atAddress(t target) string {
	if t.service == "" {
		return ""
	}
	return " at " + t.String()
}

// rootCause is why something could not be reached, without the layers that say
// only that it could not.
func rootCause(err error) string {
	var (
		dns     *net.DNSError
		system  *os.SyscallError
		network *net.OpError
	)
	switch {
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return "there is no host " + dns.Name
		}
		return dns.Error()
	case errors.As(err, &system):
		return system.Err.Error()
	case errors.As(err, &network):
		return network.Err.Error()
	}
	return strings.TrimPrefix(err.Error(), micro.ErrUnreachable.Error()+": ")
}
