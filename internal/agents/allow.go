package agents

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/web"
	"github.com/msctl/msctl/internal/target"
)

// Everywhere is the allow list of an agent that may send load to any address.
const Everywhere = "any"

// allowList is where an agent may send load.
type allowList struct {
	all     bool
	entries []allowed
}

// allowed is one entry: a network, or a name that is looked up each time, and a port; ""
// is every port.
type allowed struct {
	text string
	net  netip.Prefix
	name string
	port string
}

// parseAllow parses the values of --allow: loopback, any, an address, a network, or a name,
// and except for loopback and any, with a port or without. Without a value, it is loopback.
func parseAllow(texts []string) (*allowList, error) {
	if len(texts) == 0 {
		texts = []string{"loopback"}
	}
	list := &allowList{}
	for _, text := range texts {
		switch text {
		case Everywhere:
			list.all = true
			continue
		case "loopback":
			list.entries = append(list.entries,
				allowed{text: text, net: netip.MustParsePrefix("127.0.0.0/8")}, allowed{text: text, net: netip.MustParsePrefix("::1/128")})
			continue
		}
		entry := allowed{text: text}
		host := text
		if h, port, err := net.SplitHostPort(text); err == nil {
			host, entry.port = h, port
		}
		if prefix, err := netip.ParsePrefix(host); err == nil {
			entry.net = prefix.Masked()
		} else if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			entry.net = netip.PrefixFrom(address, address.BitLen())
		} else if host == "" || strings.ContainsAny(host, "/:@*? ") {
			return nil, exit.Usagef("invalid --allow %q: use HOST, HOST:PORT, an address, a network such as 10.0.0.0/8, loopback, or any", text)
		} else {
			entry.name = host
		}
		list.entries = append(list.entries, entry)
	}
	return list, nil
}

// texts returns the entries as they were entered.
func (l *allowList) texts() (texts []string) {
	if l.all {
		return []string{Everywhere}
	}
	for _, e := range l.entries {
		if !slices.Contains(texts, e.text) {
			texts = append(texts, e.text)
		}
	}
	return texts
}

// lookupTimeout limits how long a name is looked up.
const lookupTimeout = 5 * time.Second

// target returns an error if load must not be sent to one of the addresses of a target.
func (l *allowList) target(ctx context.Context, t target.Target) error {
	if l.all {
		return nil
	}
	for _, address := range t.Addresses {
		if target.IsSocket(address) {
			if !l.allowsLoopback() {
				return l.refuse(t.String(), address)
			}
			continue
		}
		if t.Scheme == target.SchemeHTTP {
			hostPort, err := httpAddress(address)
			if err != nil {
				return err
			}
			address = hostPort
		}
		if err := l.address(ctx, t.String(), address); err != nil {
			return err
		}
	}
	return nil
}

// address returns an error unless every address that a name stands for is allowed.
func (l *allowList) address(ctx context.Context, shown, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return exit.Usagef("the target %s has an invalid address", shown)
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return exit.WithCode(fmt.Errorf("look up the target %s: %w", shown, err), exit.Unreachable)
	}
	for _, ip := range found {
		if !l.allows(ctx, ip.Unmap(), port) {
			return l.refuse(shown, ip.Unmap().String())
		}
	}
	return nil
}

// allows reports whether load may be sent to an address.
func (l *allowList) allows(ctx context.Context, ip netip.Addr, port string) bool {
	for _, e := range l.entries {
		if e.port != "" && e.port != port {
			continue
		}
		if e.name == "" {
			if e.net.Contains(ip.WithZone("")) {
				return true
			}
			continue
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", e.name)
		if err == nil && slices.ContainsFunc(found, func(one netip.Addr) bool { return one.Unmap() == ip }) {
			return true
		}
	}
	return false
}

func (l *allowList) allowsLoopback() bool {
	return slices.ContainsFunc(l.entries, func(e allowed) bool { return e.text == "loopback" })
}

// refuse returns the error for a target that is not allowed.
func (l *allowList) refuse(shown, address string) error {
	err := exit.Usagef("the target %s (%s) is not on the agent's --allow list: %s", shown, address, strings.Join(l.texts(), ", "))
	return exit.WithHint(err, "start the agent with --allow for that address")
}

// guard returns what a run asks about its targets and connections.
func (l *allowList) guard() bench.Guard {
	if l.all {
		return bench.Guard{}
	}
	return bench.Guard{Target: l.target, Control: func(network, address string, _ syscall.RawConn) error {
		if network == "unix" {
			if !l.allowsLoopback() {
				return l.refuse(address, "a socket of this machine")
			}
			return nil
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
		defer cancel()
		if !l.allows(ctx, ip.Unmap(), port) {
			return l.refuse(address, ip.String())
		}
		return nil
	}}
}

// httpAddress returns the host and port of a URL.
func httpAddress(address string) (string, error) {
	u, err := web.ParseOrigin(address)
	if err != nil {
		return "", exit.Usagef("the target is not a URL: %w", err)
	}
	return web.HostPort(u), nil
}
