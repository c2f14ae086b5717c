package target

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// The schemes of NestJS's TCP transport.
const (
	SchemeTCP = "tcp"
	SchemeTLS = "tls"

	schemeUnix    = "unix"
	schemeUnixTLS = "unix+tls"
)

func tcp() transport {
	return transport{
		kind: TCP,
		schemes: []Scheme{
			{Name: SchemeTCP, Sample: "tcp://host:port"},
			{Name: SchemeTLS, Sample: "tls://host:port", tls: true},
			{Name: schemeUnix, Sample: "unix:///path"},
			{Name: schemeUnixTLS, Sample: "unix+tls:///path", tls: true},
		},
		parse:   parseTCP,
		dial:    dialTCP,
		explain: explainTCP,
	}
}

// parseTCP parses host:port,host:port, or /path,/path of Unix sockets; each may repeat the
// scheme.
func parseTCP(s Scheme, list string) (Target, error) {
	t := Target{Scheme: s.Name}
	if strings.Contains(list, "@") {
		return t, exit.Usagef("target %q: TCP has no login: remove what precedes the @", WithoutLogin(s.Name+"://"+list))
	}
	for one := range strings.SplitSeq(list, ",") {
		parse := tcpAddress
		if s.Name == schemeUnix || s.Name == schemeUnixTLS {
			parse = socketPath
		}
		address, err := parse(strings.TrimPrefix(strings.TrimSpace(one), s.Name+"://"))
		if err != nil {
			return Target{}, exit.Usagef("target %q: %w", s.Name+"://"+list, err)
		}
		if slices.Contains(t.Addresses, address) {
			return Target{}, exit.Usagef("target %q: duplicate address %s", s.Name+"://"+list, address)
		}
		t.Addresses = append(t.Addresses, address)
	}
	return t, nil
}

func tcpAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(text, "/?# ") {
		return "", fmt.Errorf("invalid address %q: must be host:port", text)
	}
	if err := checkPort(port); err != nil {
		return "", err
	}
	if host == "" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}

// socketPath checks the path of a Unix socket. A target's address is a path if it begins
// with a slash.
func socketPath(text string) (string, error) {
	if !IsSocket(text) || strings.HasSuffix(text, "/") || strings.ContainsAny(text, "?#") {
		return "", fmt.Errorf("invalid path %q of a socket: must be absolute: unix:///run/items.sock", text)
	}
	return text, nil
}

// IsSocket reports whether an address is the path of a Unix socket.
func IsSocket(address string) bool { return strings.HasPrefix(address, "/") }

// network returns the network of an address, for package net.
func network(address string) string {
	if IsSocket(address) {
		return "unix"
	}
	return "tcp"
}

func checkPort(port string) error {
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 {
		return fmt.Errorf("invalid port %q: must be between 1 and 65535", port)
	}
	return nil
}

func dialTCP(t Target, config *tls.Config, o DialOptions) micro.Conn {
	var opts []microtcp.DialOption
	if config != nil {
		opts = append(opts, microtcp.WithTLS(config))
	}
	if o.MaxBuffer > 0 {
		opts = append(opts, microtcp.WithMaxBufferSize(o.MaxBuffer))
	}
	return microtcp.Dial(t.List(), append(opts, microtcp.WithControl(o.Control))...)
}

func explainTCP(t Target, err error) error {
	text := "cannot reach " + t.Name() + AtAddress(t) + ": " + rootCause(err)
	return exit.WithHint(exit.WithText(err, text), "%s", t.StartHint("is it running? --to sets another address"))
}
