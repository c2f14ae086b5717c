package target

import (
	"crypto/tls"
	"fmt"

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
		parameters:  map[string]parameterType{"queue": textParameter, "inboxPrefix": textParameter},
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
		dial:        dialNATS,
		listen:      listenNATS,
		explain:     explainBroker,
		timeoutHint: "a subscriber on a wildcard, such as >, hides that there is no handler: is a service with one running? If it is, increase --timeout",
	}
}

func dialNATS(t Target, config *tls.Config, o DialOptions) micro.Conn {
	opts := []micronats.DialOption{micronats.WithName("msctl")}
	if config != nil {
		opts = append(opts, micronats.WithTLS(config))
	}
	if prefix := t.Broker.Parameters.Text("inboxPrefix"); prefix != "" {
		opts = append(opts, micronats.WithInboxPrefix(prefix))
	}
	return micronats.Dial(t.dialURLs(), opts...)
}

func listenNATS(t Target, config *tls.Config) Listener {
	opts := []micronats.ListenOption{micronats.WithName("msctl mock")}
	if config != nil {
		opts = append(opts, micronats.WithTLS(config))
	}
	if group := t.Broker.Parameters.Text("queue"); group != "" {
		opts = append(opts, micronats.WithQueue(group))
	}
	return micronats.Listen(t.dialURLs(), opts...)
}
