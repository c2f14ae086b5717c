package micronats

import (
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/internal/stagger"
)

// cluster is what a client or listener knows about the servers of its broker. It is kept from
// one connection to the next, and is safe for concurrent use.
type cluster struct {
	configured []*server
	memory     stagger.Memory // of the servers, and of the IP addresses of their names

	mu         sync.Mutex // guards what follows
	discovered []*server
	last       *server              // which the latest connection was made to
	failed     map[string]time.Time // when servers rejected a login, by address
}

// server is one server of a cluster.
type server struct {
	address string // host:port
	name    string // in its certificate
	secure  bool
	login   func() *url.Userinfo // a function, so that printing it shows no password
}

// newCluster returns the cluster of the given URLs, which have been parsed before.
func newCluster(urls []string) *cluster {
	c := &cluster{failed: map[string]time.Time{}}
	for _, text := range urls {
		if u, err := url.Parse(text); err == nil {
			c.configured = append(c.configured, &server{u.Host, u.Hostname(), u.Scheme == "tls", func() *url.Userinfo { return u.User }})
		}
	}
	return c
}

// secure reports whether all connections are encrypted, because one URL requires it.
func (c *cluster) secure() bool {
	return slices.ContainsFunc(c.configured, func(s *server) bool { return s.secure })
}

// learn replaces the servers that the broker has announced. They take the login of the server
// that is connected and, if they are announced by IP address only, the name in its certificate.
func (c *cluster) learn(urls []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(urls) == 0 || c.last == nil {
		return // servers that are configured not to announce any are no reason to forget them
	}
	c.discovered = nil
	for _, text := range urls {
		if u, err := url.Parse(text); err == nil && !slices.ContainsFunc(c.configured, func(s *server) bool { return s.address == u.Host }) {
			s := &server{u.Host, u.Hostname(), c.last.secure, c.last.login}
			if _, err := netip.ParseAddr(s.name); err == nil {
				s.name = c.last.name
			}
			c.discovered = append(c.discovered, s)
		}
	}
}

// joined records which server a connection has been made to.
func (c *cluster) joined(s *server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = s
}

// accepted records whether a server has accepted a login.
func (c *cluster) accepted(s *server, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if delete(c.failed, s.address); !ok {
		c.failed[s.address] = time.Now()
	}
}

// order returns the servers by address, and the addresses in the order in which to try them. It
// is random, so that clients spread over the servers. Servers that rejected a login follow, and then
// those that did not answer.
func (c *cluster) order() (addresses []string, servers map[string]*server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	servers = map[string]*server{}
	for _, s := range slices.Concat(c.configured, c.discovered) {
		servers[s.address] = s
		addresses = append(addresses, s.address)
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	slices.SortStableFunc(addresses, func(a, b string) int { return c.failed[a].Compare(c.failed[b]) })
	return c.memory.Order(addresses), servers
}
