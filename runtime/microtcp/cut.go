package microtcp

import (
	"net"
	"sync/atomic"
	"time"
)

// cut records that nothing more can be written to a connection, usually because the peer
// has closed it. What the peer sent before that may still wait to be read, so the reader
// continues until the connection ends. The zero value is a connection that works.
type cut struct{ made atomic.Pointer[madeCut] }

type madeCut struct {
	err   error     // why nothing can be written
	until time.Time // the deadline of reading
}

// lastReads limits how long a connection is read after a cut. A connection that the peer has
// closed ends at once.
const lastReads = time.Second

// make records that nothing can be written to conn because of err, and limits how long it
// is read.
func (c *cut) make(conn net.Conn, err error, reads time.Duration) {
	made := &madeCut{err, time.Now().Add(reads)}
	if c.made.CompareAndSwap(nil, made) {
		_ = conn.SetReadDeadline(made.until) // fails if the connection has ended
	}
}

// reason returns why nothing can be written, or nil.
func (c *cut) reason() error {
	if made := c.made.Load(); made != nil {
		return made.err
	}
	return nil
}
