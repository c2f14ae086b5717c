package agents

import (
	"crypto/tls"
	"errors"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/secret"
)

// PasswordVariable is the environment variable with the password for a URL of the NATS
// server with a user, or with the token for one with an @ and no user.
const PasswordVariable = "MSCTL_NATS_PASSWORD"

// URLSyntax explains the URL of the NATS server in the help of a command.
const URLSyntax = `URL is that of the NATS server: nats://host, or nats+tls://host with TLS. Set the
password in MSCTL_NATS_PASSWORD and put the user before the host: user@host. Without a
user, nats://@host takes a token from there. Options follow as ?OPTION=VALUE&…:
creds=FILE logs in with a .creds file, nkey=FILE with the seed of an nkey, and
ca=FILE, cert=FILE, and key=FILE configure TLS.`

// connect connects to a NATS server. The error has an exit code and contains no password.
func connect(address, name string, more ...nats.Option) (*nats.Conn, error) {
	servers, options, err := parseServer(address)
	if err != nil {
		return nil, err
	}
	options = append(options,
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(0, 0),
		nats.Timeout(3*time.Second), nats.ReconnectBufSize(8<<20), nats.NoEcho(), nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(3),
	)
	conn, err := nats.Connect(servers, append(options, more...)...)
	if err != nil {
		return nil, explain(address, err)
	}
	return conn, nil
}

// explain returns the error for a NATS server that cannot be used.
func explain(address string, err error) error {
	shown := secret.URL(address)
	var failed error
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		failed = exit.WithHint(exit.Usagef("the NATS server at %s rejected the login", shown),
			"set %s, or add creds=FILE or nkey=FILE to the URL", PasswordVariable)
		return exit.WithCode(failed, exit.Unreachable)
	case errors.Is(err, nats.ErrSecureConnRequired):
		failed = exit.WithHint(exit.Usagef("the NATS server at %s requires TLS", shown), "use nats+tls://")
		return exit.WithCode(failed, exit.Unreachable)
	}
	failed = exit.Usagef("the NATS server at %s cannot be reached: %w", shown, err)
	return exit.WithCode(exit.WithHint(failed, "start one with `nats-server`, or use --agents local:N on this machine"), exit.Unreachable)
}

// parseServer returns the servers and the options of a URL.
func parseServer(address string) (servers string, options []nats.Option, err error) {
	expanded, err := (&secret.Set{}).Expand(address, url.QueryEscape)
	if err != nil {
		return "", nil, exit.Usagef("--nats: %w", err)
	}
	var list []string
	for i, one := range strings.Split(expanded, ",") {
		if i > 0 && !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "nats+tls" && u.Scheme != "tls" {
			return "", nil, exit.WithHint(exit.Usagef("invalid --nats: %s is not the URL of a NATS server", secret.URL(address)), "use nats://host or nats+tls://host")
		}
		options = append(options, loginOf(u)...)
		more, err := optionsOf(u)
		if err != nil {
			return "", nil, err
		}
		options = append(options, more...)
		list = append(list, "nats://"+u.Host)
	}
	return strings.Join(list, ","), options, nil
}

// loginOf returns the login of a URL with an @.
func loginOf(u *url.URL) []nats.Option {
	if u.User == nil {
		return nil
	}
	password, given := u.User.Password()
	fromEnvironment := os.Getenv(PasswordVariable)
	switch user := u.User.Username(); {
	case given:
		return []nats.Option{nats.UserInfo(user, password)}
	case user == "":
		return []nats.Option{nats.Token(fromEnvironment)}
	case fromEnvironment == "":
		return []nats.Option{nats.Token(user)}
	default:
		return []nats.Option{nats.UserInfo(user, fromEnvironment)}
	}
}

// optionsOf returns the options of a URL's query and scheme.
func optionsOf(u *url.URL) (options []nats.Option, err error) {
	query := u.Query()
	if u.Scheme != "nats" {
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	for name, values := range query {
		value := values[len(values)-1]
		switch name {
		case "creds":
			options = append(options, nats.UserCredentials(value))
		case "nkey":
			option, err := nats.NkeyOptionFromSeed(value)
			if err != nil {
				return nil, exit.Usagef("--nats: nkey=%s: %w", value, err)
			}
			options = append(options, option)
		case "ca":
			options = append(options, nats.RootCAs(value))
		case "cert":
			options = append(options, nats.ClientCert(value, query.Get("key")))
		case "key":
		default:
			return nil, exit.Usagef("--nats: unknown option %q: use creds, nkey, ca, cert, or key", name)
		}
		if _, err := os.Stat(value); err != nil {
			return nil, exit.Usagef("--nats: %s=%s: %w", name, value, errors.Unwrap(err))
		}
	}
	return options, nil
}
