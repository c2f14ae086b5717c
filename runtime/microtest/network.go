package microtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Network is a transport in memory: the Listener of one server and the Conn of any
// number of clients. Create it with New. Messages that are sent before the server
// serves wait for it until their deadline.
type Network struct {
	ready chan struct{} // closed when server is set
	gone  chan struct{} // closed when no more replies can arrive

	calls   atomic.Int64 // begun so far, for their IDs
	server  *micro.Server
	pending sync.WaitGroup // messages between a client and the server
	mu      sync.Mutex     // orders Add to pending before its Wait, and Serve before another
	drained bool
}

// New returns a network without a server.
func New() *Network {
	return &Network{ready: make(chan struct{}), gone: make(chan struct{})}
}

// Serve delivers messages to s until ctx ends, and then waits up to s.DrainTimeout for
// the messages in flight. A network is served once.
func (n *Network) Serve(ctx context.Context, s *micro.Server) error {
	if err := n.open(s); err != nil {
		return err
	}
	<-ctx.Done()
	n.mu.Lock()
	n.drained = true
	n.mu.Unlock()
	n.pending.Wait()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.DrainTimeout())
	defer cancel()
	err := s.Wait(drain)
	close(n.gone)
	if err != nil {
		return fmt.Errorf("microtest: handlers are still running after the drain timeout of %v", s.DrainTimeout())
	}
	return nil
}

// open starts delivering messages to s.
func (n *Network) open(s *micro.Server) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		return errors.New("microtest: the network has been served already: create another one with New")
	}
	n.server = s
	close(n.ready)
	return nil
}

// Client returns a new client of the network's server.
func (n *Network) Client(opts ...micro.ClientOption) *micro.Client {
	return micro.NewClient(n.Dial(), opts...)
}

// Dial returns a new connection to the network's server, for the caller's own
// client.
func (n *Network) Dial() micro.Conn { return &conn{network: n, closed: make(chan struct{})} }

// deliver passes a packet to the server.
func (n *Network) deliver(p *wire.Packet, to micro.Responder) error {
	n.mu.Lock()
	if n.drained {
		n.mu.Unlock()
		return fmt.Errorf("%w: the server has stopped", micro.ErrUnreachable)
	}
	n.pending.Add(1)
	n.mu.Unlock()
	defer n.pending.Done()
	if in := n.server.Deliver(n.server.Context(), micro.Delivery{Packet: p, To: to, Peer: "memory"}); in != nil {
		in.Go()
	}
	return nil
}

// conn is one client's end.
type conn struct {
	network *Network
	closed  chan struct{}
	once    sync.Once // closes closed
}

// Close makes calls in flight fail with micro.ErrClosed.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// Publish passes an event to the server.
func (c *conn) Publish(ctx context.Context, req *micro.Request) error {
	return c.send(ctx, req, req.Pattern.RouteJSON(), nil, nil)
}

// Exchange sends a request and passes the values of its reply to reply.
func (c *conn) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	in := &inbox{news: make(chan struct{}, 1)}
	if err := c.send(ctx, req, req.Pattern.JSON(), strconv.AppendQuote(nil, strconv.FormatInt(c.network.calls.Add(1), 10)), in); err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, req.Deadline)
	defer cancel()
	for {
		select {
		case <-in.news:
		case <-ctx.Done():
			in.giveUp(req.Trace)
			return ended(ctx)
		case <-c.closed:
			in.leave()
			return micro.ErrClosed
		case <-c.network.gone:
			return c.last(in, reply, req)
		}
		if done, err := hand(in, reply, req); done {
			return err
		}
	}
}

// last delivers the packets that arrived before the server stopped.
func (c *conn) last(in *inbox, reply micro.Reply, req *micro.Request) error {
	if done, err := hand(in, reply, req); done {
		return err
	}
	in.leave()
	return micro.ErrConnectionLost
}

// ended returns the error of a call whose context has ended.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return micro.ErrTimeout
	}
	return context.Cause(ctx)
}

// hand passes the packets that have arrived to reply. done reports whether the exchange
// is complete.
func hand(in *inbox, reply micro.Reply, req *micro.Request) (done bool, err error) {
	for _, body := range in.take() {
		if req.Trace != nil && req.Trace.Read != nil {
			req.Trace.Read(time.Now(), body)
		}
		p, err := wire.Parse(body)
		if err != nil {
			in.leave()
			return true, fmt.Errorf("read the reply: %w", err)
		}
		value, remote, last := p.Reply()
		if remote != nil {
			return true, micro.RemoteError(remote)
		}
		if value != nil || !last {
			if err := reply.Send(micro.Value{Raw: value, Last: last}); err != nil {
				in.leave()
				return true, err
			}
		}
		if last {
			return true, nil
		}
	}
	return false, nil
}

// send builds the packet of a message and delivers it once a server is running.
func (c *conn) send(ctx context.Context, req *micro.Request, pattern string, id []byte, to *inbox) error {
	if err := c.await(ctx, req.Deadline); err != nil {
		return err
	}
	now := time.Now()
	body := req.Data
	if !req.Raw {
		body = wire.AppendRequest(nil, pattern, req.Data, micro.AppendMetadata(nil, req, now), id)
	}
	if req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(now, body)
	}
	p, err := wire.Parse(body)
	if err != nil {
		return fmt.Errorf("the data is not JSON: %w", err)
	}
	if to == nil {
		return c.network.deliver(&p, discard{})
	}
	return c.network.deliver(&p, to)
}

// await returns once the network is served.
func (c *conn) await(ctx context.Context, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if ctx.Err() != nil {
		return ended(ctx)
	}
	select {
	case <-c.closed:
		return micro.ErrClosed
	default:
	}
	select {
	case <-c.network.ready:
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("%w: no server serves the network", micro.ErrUnreachable)
		}
		return context.Cause(ctx)
	case <-c.closed:
		return micro.ErrClosed
	}
}
