package target

import (
	"context"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
)

// Parse parses a TARGET. It looks the name of a service up in the workspace of the
// current folder. All errors are usage errors.
func (f *Flags) Parse(ctx context.Context, text string) (Target, error) {
	switch {
	case text == "":
		return Target{}, exit.Usagef("the target is empty: use the name of a service, or tcp://host:port")
	case namesService(text):
		return f.serviceTarget(ctx, text)
	}
	return ParseURL(text)
}

// ParseURL parses a TARGET that is an address; host:port is short for
// tcp://host:port. All errors are usage errors, and none contains the password.
func ParseURL(text string) (Target, error) {
	name, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		name, rest = SchemeTCP, text
	}
	transport, scheme, known := lookUp(name)
	if !known {
		return Target{}, unknownScheme(text, name)
	}
	return transport.parse(scheme, rest)
}

// unknownScheme suggests the scheme that was probably meant, or lists all of them.
func unknownScheme(text, scheme string) error {
	err := exit.Usagef("target %q: unknown scheme %q", WithoutLogin(text), scheme)
	var names []string
	for _, s := range Schemes() {
		names = append(names, s.Name)
	}
	near, ok := map[string]string{"rabbitmq": "amqp", "rmq": "amqp", "natss": schemeNATSTLS, "nats-tls": schemeNATSTLS}[scheme]
	if !ok {
		near = nearest.Word(scheme, names)
	}
	if _, s, known := lookUp(near); known {
		return exit.WithHint(err, "did you mean %s?", s.Sample)
	}
	return exit.WithHint(err, "use the name of a service in msctl.yaml, or an address that begins with %s://", strings.Join(names, "://, "))
}
