package fault

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/msctl/msctl/runtime/microtcp"
)

// direction is a direction of a connection.
type direction int

const (
	toService direction = iota
	toClient
	directions
)

// conn is a client's connection together with its connection to the service. Two
// goroutines read it, one for each direction. What one side has sent before it closed
// its connection is delivered to the other side first.
type conn struct {
	proxy           *Proxy
	client, service net.Conn
	up, down        *pipe
	observer        Observer // nil for none
	ended           sync.Once
	wasReset        atomic.Bool // a side has reset its connection, which writing to it has shown

	watch   atomic.Bool // replies must be inspected: answers is not empty, or copies were sent
	copied  atomic.Bool // a Duplicate has sent a copy
	copies  uint64      // sent by Duplicate; only used by the reader of up
	mu      sync.Mutex  // guards answers
	answers map[string]answer
}

// answer is what happens to the reply of a request.
type answer struct {
	swallower *active // the fault that loses it, or nil
	cut       bool
	route     string
}

// maxAnswers bounds the requests that a connection remembers. A service that replies
// does not come near it.
const maxAnswers = 1 << 16

func newConn(p *Proxy, client, service net.Conn) *conn {
	c := &conn{proxy: p, client: client, service: service, answers: map[string]answer{}}
	if observe := p.options.Observe; observe != nil {
		c.observer = observe(client.RemoteAddr(), service.RemoteAddr())
	}
	c.up = newPipe(c, toService, client, service)
	c.down = newPipe(c, toClient, service, client)
	c.up.other, c.down.other = c.down, c.up
	return c
}

// run passes on bytes until both directions have ended.
func (c *conn) run() {
	var pumps sync.WaitGroup
	pumps.Go(c.up.run)
	pumps.Go(c.down.run)
	pumps.Wait()
	c.end(c.wasReset.Load())
	c.up.queue.wg.Wait()
	c.down.queue.wg.Wait()
}

// end closes both sides at once; hard resets them.
func (c *conn) end(hard bool) {
	c.ended.Do(func() {
		if hard {
			reset(c.client)
			reset(c.service)
		}
		_ = c.client.Close()
		_ = bare(c.service).Close() // with TLS, closeWrite has sent the close_notify, or it cannot be sent
		c.up.queue.close()
		c.down.queue.close()
	})
}

// bare returns the connection below TLS. Closing it never blocks.
func bare(conn net.Conn) net.Conn {
	if encrypted, ok := conn.(*tls.Conn); ok {
		return encrypted.NetConn()
	}
	return conn
}

// reset closes a connection with a RST.
func reset(conn net.Conn) {
	conn = bare(conn)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // if it fails, the connection is closed normally
	}
	_ = conn.Close()
}

// closeWrite tells the peer that the stream has ended.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return conn.Close()
}

// wasReset reports whether a peer reset the connection.
func wasReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// remember stores what will happen to a reply.
func (c *conn) remember(id []byte, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answers) >= maxAnswers {
		for id := range c.answers {
			delete(c.answers, id)
			break
		}
	}
	c.answers[string(id)] = a
	c.watch.Store(true)
}

// recall returns what remember stored for a reply, and removes it with the last one.
func (c *conn) recall(id []byte, last bool) (a answer, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok = c.answers[string(id)]
	if ok && last {
		delete(c.answers, string(id))
		c.watch.Store(len(c.answers) > 0 || c.copied.Load())
	}
	return a, ok
}

// pipe is one direction of a connection. Only its reader uses it, except for the
// queue.
type pipe struct {
	conn     *conn
	to       direction
	src, dst net.Conn
	in       *microtcp.FrameReader // reads src, except with Raw
	other    *pipe                 // the other direction
	queue    *queue

	out     []byte    // written at the end of the batch
	answers []byte    // replies of the proxy to the client
	held    []*parcel // by Reorder
	routes  map[string]string
}

func newPipe(c *conn, to direction, src, dst net.Conn) *pipe {
	p := &pipe{conn: c, to: to, src: src, dst: dst, routes: map[string]string{}}
	if !c.proxy.options.Raw {
		p.in = microtcp.NewFrameReader(src, c.proxy.options.Incomplete)
	}
	p.queue = newQueue(dst, c.end, func(err error) {
		p.cannotWrite(err)
		p.finish()
	})
	return p
}

// run passes on bytes until the source ends its stream. Then it delivers everything
// and ends the stream to the destination.
func (p *pipe) run() {
	pump := p.pumpFrames
	if p.in == nil {
		pump = p.pumpBytes
	}
	err := pump()
	if unwritten := (*writeError)(nil); errors.As(err, &unwritten) {
		p.cannotWrite(err)
		return
	}
	if !errors.Is(err, errEnded) {
		p.release()
		if p.flush() == nil {
			p.queue.drain()
		}
	}
	if errors.Is(err, io.EOF) && closeWrite(p.dst) == nil {
		return
	}
	p.conn.end(wasReset(err) || p.conn.wasReset.Load())
}

// writeError means that the destination takes no more bytes.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// cannotWrite ends one direction because its destination has closed its connection. What
// the destination sent before that is still delivered.
func (p *pipe) cannotWrite(err error) {
	if wasReset(err) {
		p.conn.wasReset.Store(true)
	}
	p.queue.close()
	p.other.finish()
}

// lastReads limits how long a side is read that takes no more bytes.
const lastReads = time.Second

// finish limits how long the source is still read.
func (p *pipe) finish() {
	if p.in != nil {
		p.in.Finish()
	} else {
		_ = p.src.SetReadDeadline(time.Now().Add(lastReads)) // fails if it has ended
	}
}

// flush writes the buffered bytes.
func (p *pipe) flush() error {
	if len(p.answers) > 0 {
		_, _ = p.src.Write(p.answers) // without a client, what it has sent is still delivered
		p.answers = p.answers[:0]
	}
	if len(p.out) == 0 {
		return nil
	}
	_, err := p.dst.Write(p.out)
	if p.out = p.out[:0]; cap(p.out) > 4*maxWritten {
		p.out = nil
	}
	if err != nil {
		return &writeError{err}
	}
	return nil
}
