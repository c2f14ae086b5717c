package limit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the addresses of the proxies in front of a gateway.
type Proxies []netip.Prefix

// Client returns the address of a request's client. The header X-Forwarded-For is read from right
// to left, for as long as the address before is that of a proxy: what is further left was
// written by the client, and may be invented. The address is invalid if that of the connection
// is, as in tests.
func (p Proxies) Client(req *http.Request) netip.Addr {
	client := parse(req.RemoteAddr)
	if !p.contain(client) {
		return client
	}
	for _, line := range slices.Backward(req.Header.Values("X-Forwarded-For")) {
		for more := true; more; {
			var one string
			if i := strings.LastIndexByte(line, ','); i >= 0 {
				line, one = line[:i], line[i+1:]
			} else {
				one, more = line, false
			}
			next := parse(strings.TrimSpace(one))
			if !next.IsValid() {
				return client
			}
			if client = next; !p.contain(client) {
				return client
			}
		}
	}
	return client
}

func (p Proxies) contain(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(a) })
}

// parse parses an address with or without a port. An IPv4 address in IPv6 form is one of IPv4.
func parse(text string) netip.Addr {
	if with, err := netip.ParseAddrPort(text); err == nil {
		return with.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// Group returns the address under which a client counts: for IPv6, that of its network of 64
// bits, since each client has at least one.
func Group(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	prefix, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return prefix.Addr()
}
