package fault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/msctl/msctl/runtime/microtcp"
)

// Options configures a proxy.
type Options struct {
	// Listen is the address to listen on; "" means a free port of 127.0.0.1.
	Listen string
	// Target lists the service's addresses, host:port or the path of a Unix socket. Connections use them in turn
	// and skip those that cannot be reached.
	Target []string
	// TLS encrypts the connections to the service; nil means no encryption.
	// Clients always connect to the proxy without TLS.
	TLS *tls.Config
	// Seed determines the random decisions: the same seed repeats them.
	Seed uint64
	// Raw makes it a proxy of bytes, for protocols other than NestJS's TCP. A message
	// is then the result of one read, at most 32 KB. Latency and Reset are drawn for
	// reads from clients, and Cut for reads from the service.
	Raw bool
	// Faults are the faults at the start.
	Faults []Fault
	// Control, if set, may prevent a connection to the service: see net.Dialer.
	Control func(network, address string, c syscall.RawConn) error
	// Incomplete is how long an incomplete frame may wait for its next byte; 0 means
	// microtcp's default.
	Incomplete time.Duration
	// Observe is called for each connection of a client to the service, and returns what sees its
	// bytes; it requires Raw. nil means that nothing does.
	Observe func(client, service net.Addr) Observer
	// Log receives the events of connections, normal ones at debug level; nil means
	// no log.
	Log *slog.Logger
}

// Observer sees the bytes of one connection. Its methods are called for both directions at the same time.
type Observer interface {
	// Bytes is called with what a side has sent, before it is passed on. It must neither change nor
	// keep the bytes.
	Bytes(fromClient bool, b []byte)
	// End is called when a side has ended its stream, or can no longer be read.
	End(fromClient bool)
}

// Proxy is a running proxy between clients and a service. Start creates it, and Close
// ends it. Its methods are safe for concurrent use.
type Proxy struct {
	options Options
	socket  net.Listener
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup // accept, end, and the connections

	faults  atomic.Pointer[faultSet] // replaced with mu held
	journal journal
	counts  counts
	turn    atomic.Uint64 // index of the next target

	mu      sync.Mutex // guards what follows
	last    int        // the last ID of a fault
	removed []*active  // the most recent, for their counts
	twins   map[string]int
	conns   map[*conn]struct{}
	closed  bool
}

type counts struct{ messages, replies, connections, unreachable atomic.Uint64 }

// Start starts a proxy that runs until ctx ends or Close is called. If it cannot
// inject one of the faults, the error is a *RefusedError.
func Start(ctx context.Context, o Options) (*Proxy, error) {
	if len(o.Target) == 0 {
		return nil, errors.New("a fault proxy requires the address of a service")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Incomplete == 0 {
		o.Incomplete = microtcp.DefaultIncompleteMessageTimeout
	}
	p := &Proxy{options: o, twins: map[string]int{}, conns: map[*conn]struct{}{}}
	p.faults.Store(&faultSet{})
	for _, f := range o.Faults {
		if _, err := p.Add(f); err != nil {
			return nil, err
		}
	}
	var listen net.ListenConfig
	socket, err := listen.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Listen, err)
	}
	p.socket = socket
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.wg.Go(p.accept)
	p.wg.Go(p.end)
	return p, nil
}

// Addr returns the address of the proxy, host:port.
func (p *Proxy) Addr() string { return p.socket.Addr().String() }

// Close closes all connections and waits for all goroutines to end.
func (p *Proxy) Close() error {
	p.cancel()
	p.wg.Wait()
	return nil
}

// accept accepts connections until the proxy ends.
func (p *Proxy) accept() {
	for {
		client, err := p.socket.Accept()
		switch {
		case err == nil:
			p.counts.connections.Add(1)
			p.wg.Go(func() { p.serve(client) })
		case p.ctx.Err() != nil:
			return
		default: // such as too many open files, which is temporary
			p.options.Log.Warn("cannot accept a connection", "error", err)
			select {
			case <-time.After(10 * time.Millisecond):
			case <-p.ctx.Done():
			}
		}
	}
}

// end waits for the end of the proxy and closes everything, which ends the other
// goroutines.
func (p *Proxy) end() {
	<-p.ctx.Done()
	_ = p.socket.Close()
	p.mu.Lock()
	p.closed = true
	conns := slices.Collect(maps.Keys(p.conns))
	p.mu.Unlock()
	for _, c := range conns {
		c.end(false)
	}
}

// serve connects one client to the service until both have ended.
func (p *Proxy) serve(client net.Conn) {
	service, err := p.dial()
	if err != nil {
		p.counts.unreachable.Add(1)
		p.options.Log.Warn("rejected a client: no target can be reached", "client", client.RemoteAddr().String(), "error", err)
		reset(client)
		return
	}
	c := newConn(p, client, service)
	if !p.enter(c) {
		c.end(false)
		return
	}
	p.options.Log.Debug("connected", "client", client.RemoteAddr().String(), "service", service.RemoteAddr().String())
	c.run()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	p.options.Log.Debug("disconnected", "client", client.RemoteAddr().String())
}

func (p *Proxy) enter(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

// dialTimeout bounds one attempt to reach the service.
const dialTimeout = 5 * time.Second

// dial connects to the next target, or to the first after it that can be reached.
func (p *Proxy) dial() (net.Conn, error) {
	turn := p.turn.Add(1) - 1
	var errs []error
	for i := range uint64(len(p.options.Target)) {
		conn, err := p.dialOne(p.options.Target[(turn+i)%uint64(len(p.options.Target))])
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (p *Proxy) dialOne(address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	dialer := net.Dialer{Control: p.options.Control}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil || p.options.TLS == nil {
		return conn, err
	}
	config := p.options.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = "localhost" // of a Unix socket
		if host, _, err := net.SplitHostPort(address); err == nil {
			config.ServerName = host
		}
	}
	encrypted := tls.Client(conn, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("tls with %s: %w", address, err)
	}
	return encrypted, nil
}
