package target

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
)

const schemeNATSTLS = "nats+tls"

func nats() transport {
	return transport{
		kind: NATS,
		schemes: []Scheme{
			{Name: "nats", Sample: "nats://host", port: "4222"},
			{Name: schemeNATSTLS, Sample: "nats+tls://host", port: "4222", tls: true, dial: "tls"},
		},
		environment: "NATS_URL",
		parameters:  map[string]parameterType{"queue": textParameter, "inboxPrefix": textParameter, "creds": textParameter, "nkey": textParameter},
		check:       checkNATS,
		shared:      true,
		headers:     true,
		token:       true,
		parse:       parseBroker,
		readPath: func(_ *Broker, path string) error {
			if path != "" {
				return fmt.Errorf("unexpected path /%s: a NATS address has no path", path)
			}
			return nil
		},
		path:        func(*Broker) string { return "" },
		serverPath:  func(*Broker) string { return "" },
		place:       func(_ Target, p micro.Pattern) string { return "subject " + p.Route() },
		prepare:     checkNATSLogin,
		dial:        dialNATS,
		listen:      listenNATS,
		explain:     explainBroker,
		timeoutHint: "a subscriber on a wildcard, such as >, hides that there is no handler: is a service with one running? If it is, increase --timeout",
	}
}

// checkNATS rejects options that cannot be combined, and a seed in place of its file.
func checkNATS(p Parameters) error {
	if p.IsSet("creds") && p.IsSet("nkey") {
		return errors.New("options creds and nkey cannot be combined")
	}
	for _, name := range []string{"creds", "nkey"} {
		if secret.IsSeed(p.Text(name)) {
			return exit.WithHint(fmt.Errorf("option %s must be a file that contains the seed", name), "other users of this machine can read an address on the command line")
		}
	}
	return nil
}

// natsLogin returns the part of an address that selects the file of credentials; "" for none.
func natsLogin(t Target) string {
	for _, name := range []string{"creds", "nkey"} {
		if path := t.Broker.Parameters.Text(name); path != "" {
			return "?" + url.Values{name: {path}}.Encode()
		}
	}
	return ""
}

// checkNATSLogin checks the file of credentials.
func checkNATSLogin(t Target) error {
	login := natsLogin(t)
	if login == "" {
		return nil
	}
	if t.Login.Given {
		return exit.WithHint(exit.Usagef("%s has both a user and a file of credentials", t), "remove the user, or creds and nkey after the ?")
	}
	if err := micronats.CheckCredentials("nats://host" + login); err != nil {
		return exit.WithHint(exit.Usagef("%s: %w", t, err), "creds=FILE is a .creds file, and nkey=FILE contains the seed of a user (SU…)")
	}
	return nil
}

func dialNATS(t Target, config *tls.Config, o DialOptions) micro.Conn {
	opts := []micronats.DialOption{micronats.WithName("msctl"), micronats.WithControl(o.Control)}
	if config != nil {
		opts = append(opts, micronats.WithTLS(config))
	}
	if prefix := t.Broker.Parameters.Text("inboxPrefix"); prefix != "" {
		opts = append(opts, micronats.WithInboxPrefix(prefix))
	}
	return micronats.Dial(t.dialURLs()+natsLogin(t), opts...)
}

func listenNATS(t Target, config *tls.Config) Listener {
	opts := []micronats.ListenOption{micronats.WithName("msctl mock")}
	if config != nil {
		opts = append(opts, micronats.WithTLS(config))
	}
	if group := t.Broker.Parameters.Text("queue"); group != "" {
		opts = append(opts, micronats.WithQueue(group))
	}
	return micronats.Listen(t.dialURLs()+natsLogin(t), opts...)
}
