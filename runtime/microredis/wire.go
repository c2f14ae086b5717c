package microredis

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// socket is a connection that records when data last arrived. One goroutine at a time reads it.
type socket struct {
	net.Conn

	reading       atomic.Bool  // a read is waiting
	heard         atomic.Int64 // the clock when data last arrived
	before, after func()       // called before each read and after each that returned data; may be nil

	arrived time.Time // when the data that the last Read returned was read
	ahead   []chunk   // what readAhead has read
	room    []byte    // for its next read
	reads   int
	first   []byte // what the first read returned, if it is an error reply
}

// chunk is the data of one read.
type chunk struct {
	data []byte
	at   time.Time
}

func newSocket(conn net.Conn) *socket {
	w := &socket{Conn: conn}
	w.heard.Store(clock())
	return w
}

func clock() int64 { return int64(micro.Clock()) }

// Read reads from the connection and records the time. It never returns data of two reads at
// once, so that arrived is right for all of it.
func (w *socket) Read(b []byte) (int, error) {
	if len(w.ahead) > 0 {
		next := &w.ahead[0]
		n := copy(b, next.data)
		w.arrived = next.at
		if next.data = next.data[n:]; len(next.data) == 0 {
			w.ahead = w.ahead[1:]
		}
		return n, nil
	}
	if w.before != nil {
		w.before()
	}
	n, err := w.read(b)
	if n > 0 {
		w.arrived = time.Now()
		if w.after != nil {
			w.after()
		}
	}
	return n, err
}

func (w *socket) read(b []byte) (int, error) {
	w.reading.Store(true)
	n, err := w.Conn.Read(b)
	w.reading.Store(false)
	if n > 0 {
		w.heard.Store(clock())
		if w.reads++; w.reads == 1 && b[0] == '-' {
			w.first = bytes.Clone(b[:n])
		}
	}
	return n, err
}

const (
	// maxBacklog limits how much a server at its limit of messages in flight reads ahead, in
	// bytes.
	maxBacklog = 256 << 10
	minRead    = 4 << 10 // bytes of room for a read
)

// readAhead reads until a read fails or maxBacklog has been read. Later calls of Read return
// that data.
func (w *socket) readAhead() {
	waiting := 0
	for _, c := range w.ahead {
		waiting += len(c.data)
	}
	for waiting < maxBacklog {
		if len(w.room) < minRead {
			w.room = make([]byte, maxBacklog/8)
		}
		n, err := w.read(w.room)
		if n > 0 {
			w.ahead = append(w.ahead, chunk{w.room[:n:n], time.Now()})
			w.room = w.room[n:]
			waiting += n
		}
		if err != nil {
			return // Read returns it again if it is the connection's
		}
	}
}

// refusal returns the error with which Redis has rejected the connection before it closed it,
// such as that it has too many clients, or nil.
func (w *socket) refusal() error {
	line, _, _ := bytes.Cut(w.first, []byte("\r\n"))
	if w.reads != 1 || len(line) == 0 {
		return nil
	}
	return answerError(line[1:])
}

// once returns a dialer that returns an existing connection. Any further connection that
// it returns is dead: a session ends with its connections.
func once(w *socket) func(context.Context, string, string) (net.Conn, error) {
	var taken atomic.Bool
	return func(context.Context, string, string) (net.Conn, error) {
		if !taken.Swap(true) {
			return w, nil
		}
		dead, other := net.Pipe()
		_ = other.Close()
		return dead, nil
	}
}
