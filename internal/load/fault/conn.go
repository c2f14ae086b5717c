package fault

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// direction is which way bytes go.
type direction int

const (
	toService direction = iota
	toClient
	directions
)

// conn is a client's connection with its own to the service. Two goroutines read
// it, one for each direction; whichever ends it ends both.
type conn struct {
	proxy           *Proxy
	client, service net.Conn
	up, down        *pipe
	ended           sync.Once

	watch   atomic.Bool // replies must be looked at: answers is not empty, or copies were made
	copied  atomic.Bool // a Duplicate was sent
	copies  uint64      // of Duplicate; only the reader of up uses it
	mu      sync.Mutex  // guards answers
	answers map[string]answer
}

// answer is what becomes of the answer to a request, and what is known of it.
type answer struct {
	swallower *active // nil: nobody swallows it
	cut       bool
	route     string
}

// maxAnswers bounds the requests of a connection that are remembered; a service
// that answers does not come near it.
const maxAnswers = 1 << 16

func newConn(p *Proxy, client, service net.Conn) *conn {
	c := &conn{proxy: p, client: client, service: service, answers: map[string]answer{}}
	c.up = newPipe(c, toService, client, service)
	c.down = newPipe(c, toClient, service, client)
	return c
}

// run passes on until both directions have ended.
func (c *conn) run() {
	var pumps sync.WaitGroup
	pumps.Go(c.up.run)
	pumps.Go(c.down.run)
	pumps.Wait()
	c.end(false)
	c.up.queue.wg.Wait()
	c.down.queue.wg.Wait()
}

// end ends both sides at once; hard resets them.
func (c *conn) end(hard bool) {
	c.ended.Do(func() {
		if hard {
			reset(c.client)
			reset(c.service)
		}
		_ = c.client.Close()
		_ = bare(c.service).Close() // with TLS the end has been said before, or is none that can be said
		c.up.queue.close()
		c.down.queue.close()
	})
}

// bare is the connection under one of TLS. Closing it never waits.
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
		_ = tcp.SetLinger(0) // if it fails the connection is closed in the usual way
	}
	_ = conn.Close()
}

// closeWrite tells the peer that nothing more comes.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return conn.Close()
}

// wasReset reports whether a peer ended the connection the hard way.
func wasReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// remember keeps what will be done to an answer.
func (c *conn) remember(id []byte, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answers) >= maxAnswers {
		for oldest := range c.answers { // any, in fact
			delete(c.answers, oldest)
			break
		}
	}
	c.answers[string(id)] = a
	c.watch.Store(true)
}

// recall returns what was remembered for a reply, and forgets it with the last.
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

// pipe is one direction of a connection. Its reader alone uses it, but for the
// queue.
type pipe struct {
	conn     *conn
	to       direction
	src, dst net.Conn
	queue    *queue

	out     []byte    // is written when the batch has been dealt with
	answers []byte    // in the service's place, to the client
	held    []*parcel // by Reorder
	routes  map[string]string
}

func newPipe(c *conn, to direction, src, dst net.Conn) *pipe {
	return &pipe{conn: c, to: to, src: src, dst: dst, queue: newQueue(dst, c.end), routes: map[string]string{}}
}

// run passes on until the peer's stream ends, and then ends the other's when
// everything has been delivered.
func (p *pipe) run() {
	pump := p.pumpFrames
	if p.conn.proxy.options.Raw {
		pump = p.pumpBytes
	}
	err := pump()
	if errors.Is(err, io.EOF) {
		p.release()
		err = p.flush()
		p.queue.drain()
		if err == nil && closeWrite(p.dst) == nil {
			return
		}
	}
	p.conn.end(wasReset(err))
}

// flush writes what has gathered.
func (p *pipe) flush() error {
	if len(p.answers) > 0 {
		_, err := p.src.Write(p.answers)
		if p.answers = p.answers[:0]; err != nil {
			return err
		}
	}
	if len(p.out) == 0 {
		return nil
	}
	_, err := p.dst.Write(p.out)
	if p.out = p.out[:0]; cap(p.out) > 4*mostWritten {
		p.out = nil
	}
	return err
}
