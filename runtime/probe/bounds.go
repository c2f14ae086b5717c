package probe

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxConnections = 256              // further ones are closed
	stalledTime    = 10 * time.Second // limits how long a client does not read
	bodyTime       = time.Second      // limits how long the server reads the rest of a body
)

// withoutBody rejects requests with a body, which nothing on the port needs, and closes their
// connection.
func withoutBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ContentLength != 0 {
			// The server reads some of the rest before it closes the connection, so that the
			// client gets the response. The body may never end.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
			w.Header().Set("Connection", "close")
			http.Error(w, "this port accepts no request bodies", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// boundedListener limits the number of connections, and the time for which a client does not
// read.
type boundedListener struct {
	net.Listener
	open atomic.Int64
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= maxConnections {
			return &boundedConn{Conn: c, closed: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		_ = c.Close() // nothing has been written to it
	}
}

type boundedConn struct {
	net.Conn
	closed func()
}

func (c *boundedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stalledTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *boundedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
