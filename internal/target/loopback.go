package target

import (
	"net"
	"net/url"
	"slices"
)

// Loopback reports whether one of the addresses is on this machine, as far as that is
// known without asking a name server: messages to it cross no network, and share the
// machine's processors with it.
func (t Target) Loopback() bool { return slices.ContainsFunc(t.Addresses, isLocal) }

func isLocal(address string) bool {
	if IsSocket(address) {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if u, e := url.Parse(address); e == nil && u.Host != "" { // of HTTP
		host, err = u.Hostname(), nil
	}
	if err != nil {
		return false
	}
	if host == "" || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return false
	}
	return ip.IsLoopback() || ip.IsUnspecified() || isOwn(ip)
}

// isOwn reports whether an address is that of a network interface of this machine.
func isOwn(ip net.IP) bool {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		network, ok := a.(*net.IPNet)
		return ok && network.IP.Equal(ip)
	})
}
