package micronats

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/liveness"
	"github.com/msctl/msctl/runtime/internal/stagger"
)

// dialer makes the consecutive connections of one nats.Conn. The driver would try one server
// after another, and wait for each; the dialer takes the first one that is ready. The driver
// therefore knows one server only, and the dialer keeps the addresses.
type dialer struct {
	ctx        context.Context // its end stops dialing and closes the sockets
	cluster    *cluster
	timeout    time.Duration // of one server
	peer       time.Duration // WithPeerTimeout
	control    stagger.Control
	tls        *tls.Config // nil unless all connections are encrypted
	beforeRead func(last time.Time)
	again      func() // see events; may be nil

	current atomic.Pointer[greeted]
	err     atomic.Pointer[error] // of the last attempt; nil if it made a connection
}

// Dial is called by the driver. The address is that of no server.
func (d *dialer) Dial(string, string) (net.Conn, error) {
	if last := d.current.Load(); last != nil {
		_ = last.Close() // the driver leaves it open if the login failed
	}
	conn, err := d.first()
	if err != nil {
		d.err.Store(&err)
		return nil, err
	}
	d.err.Store(nil)
	d.cluster.joined(conn.server)
	conn.beforeRead = d.beforeRead
	conn.socket.bind(d.ctx)
	if again := d.current.Swap(conn) != nil; again && d.again != nil {
		d.again()
	}
	return conn, nil
}

// SkipTLSHandshake tells the driver that connections are encrypted already.
func (*dialer) SkipTLSHandshake() bool { return true }

// first returns a connection to the first server that is ready. Servers whose names have several
// IP addresses are tried at each of them.
func (d *dialer) first() (*greeted, error) {
	addresses, servers := d.cluster.order()
	memory := &d.cluster.memory
	return stagger.First(d.ctx, addresses, stagger.Noting(memory, func(ctx context.Context, address string) (*greeted, error) {
		ctx, cancel := context.WithTimeout(ctx, d.timeout)
		defer cancel()
		targets, err := stagger.Resolve(ctx, address)
		if err != nil {
			return nil, err
		}
		return stagger.First(ctx, memory.Order(targets), stagger.Noting(memory, func(ctx context.Context, target string) (*greeted, error) {
			return d.greet(ctx, servers[address], target)
		}))
	}))
}

// greet connects to one IP address of a server, and returns when the connection is ready for the
// login: the server has introduced itself, and the TLS handshake is complete.
func (d *dialer) greet(ctx context.Context, s *server, target string) (*greeted, error) {
	conn, err := stagger.Connect(ctx, target, d.control)
	if err != nil {
		return nil, err
	}
	liveness.Watch(conn, d.peer)
	g := &greeted{socket: newSocket(conn), server: s, cluster: d.cluster, began: time.Now()}
	g.Conn = g.socket
	stop := context.AfterFunc(ctx, func() { _ = g.socket.Close() })
	if err = g.introduce(); err == nil {
		err = d.encrypt(ctx, g)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = g.socket.Close()
		return nil, fmt.Errorf("%s: %w", target, err)
	}
	return g, nil
}

// encrypt starts TLS if it is configured, or if the server requires it.
func (d *dialer) encrypt(ctx context.Context, g *greeted) error {
	config := d.tls
	switch {
	case config == nil && !g.info.TLSRequired:
		return nil
	case config == nil:
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	case !g.info.TLSRequired && !g.info.TLSAvailable:
		return nats.ErrSecureConnWanted
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = g.server.name
	}
	secure := tls.Client(g.socket, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", nats.ErrTLS, err)
	}
	g.Conn, g.secure = secure, true
	g.rest = nil // what was sent in plain text must not be read as if it had been encrypted
	return nil
}

// user returns the user and password for the server that is connected to.
func (d *dialer) user() (user, password string) {
	login := d.current.Load().server.login()
	if password, ok := login.Password(); ok {
		return login.Username(), password
	}
	return "", ""
}

// token returns the token for the server that is connected to: a user without a password.
func (d *dialer) token() string {
	login := d.current.Load().server.login()
	if _, ok := login.Password(); ok {
		return ""
	}
	return login.Username()
}

// full reports whether the broker does not keep up with what is written to it.
func (d *dialer) full() bool {
	g := d.current.Load()
	return g != nil && g.socket.waiting.Load() > fullWire
}

// failed reports whether nothing more can be written, although the driver does not know yet.
func (d *dialer) failed() bool {
	g := d.current.Load()
	return g != nil && g.socket.failed.Load()
}

// awaitRoom returns when the broker keeps up, or with the error of ctx.
func (d *dialer) awaitRoom(ctx context.Context) error {
	if d.full() {
		return d.current.Load().socket.awaitRoom(ctx)
	}
	return nil
}

// greeted is a connection to a server that has introduced itself. Its reader is the driver.
type greeted struct {
	net.Conn // the socket, or TLS over it
	socket   *socket
	secure   bool
	server   *server
	cluster  *cluster
	began    time.Time

	introduction []byte // the first line, until the driver has read it
	rest         []byte // what the server sent behind it, likewise
	info         nats.ServerInfo
	answered     bool      // the server has answered the login
	lastRead     time.Time // when the last read returned

	// beforeRead is called with lastRead before each read after the login, and may block it.
	beforeRead func(lastRead time.Time)
}

// maxIntroduction limits the first line of a server, which names all servers of its cluster.
const maxIntroduction = 1 << 20

// introduce reads the first line of the server. The driver will read it again.
func (g *greeted) introduce() error {
	buf := make([]byte, 0, 4<<10)
	for !bytes.Contains(buf, []byte("\n")) {
		if len(buf) == maxIntroduction {
			return nats.ErrNoInfoReceived
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 4*cap(buf)), buf...)
		}
		n, err := g.socket.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil && n == 0 {
			return err
		}
	}
	end := bytes.IndexByte(buf, '\n') + 1
	g.introduction, g.rest = buf[:end], buf[end:]
	op, args, _ := strings.Cut(strings.TrimSpace(string(g.introduction)), " ")
	switch op {
	case "INFO":
		return json.Unmarshal([]byte(args), &g.info)
	case "-ERR":
		return fmt.Errorf("nats: %s", strings.Trim(args, "'"))
	}
	return nats.ErrNoInfoReceived
}

// Read implements net.Conn.
func (g *greeted) Read(b []byte) (int, error) {
	if len(g.introduction) > 0 {
		n := copy(b, g.introduction)
		g.introduction = g.introduction[n:]
		return n, nil
	}
	if g.answered && g.beforeRead != nil {
		g.beforeRead(g.lastRead)
	}
	n, err := g.next(b)
	g.lastRead = time.Now()
	if !g.answered {
		g.answered = true
		err = g.answer(b[:n], err)
	}
	return n, err
}

func (g *greeted) next(b []byte) (int, error) {
	if len(g.rest) > 0 {
		n := copy(b, g.rest)
		g.rest = g.rest[n:]
		return n, nil
	}
	return g.Conn.Read(b)
}

// answer takes note of the answer to the login, or of its absence. The server is to be tried
// after others if it has not accepted the login.
func (g *greeted) answer(answer []byte, err error) error {
	g.cluster.accepted(g.server, len(answer) > 0 && answer[0] != '-')
	g.cluster.memory.Note(g.server.address, g.began, err)
	if g.secure && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		return fmt.Errorf("%w: the server closed the connection after the handshake: %w", nats.ErrTLS, err)
	}
	return err
}
