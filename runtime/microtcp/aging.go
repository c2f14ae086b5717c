package microtcp

import (
	"math"
	"math/rand/v2"
	"time"
)

// aging makes a client leave a connection that has carried nothing for a while, or that is
// old. It looks at the connection a few times in that while, so that messages cost nothing.
type aging struct {
	conn  *clientConn
	idle  time.Duration // 0 means no limit
	until time.Time     // when it is too old; zero means never
	timer *time.Timer
	sent  int64 // the writer's position when the timer last fired
	quiet int   // how many times in a row nothing had happened
}

// looks is how often the connection is looked at in the time for which it may be idle.
const looks = 4

// watchAge starts the aging of a connection. The result stops it.
func (c *clientConn) watchAge() (stop func()) {
	client := c.address.client
	if client.maxIdle <= 0 && client.maxAge <= 0 {
		return func() {}
	}
	a := &aging{conn: c, idle: max(client.maxIdle, 0)}
	if client.maxAge > 0 {
		// Jittered, so that many clients do not reconnect at the same moment.
		a.until = time.Now().Add(client.maxAge - rand.N(client.maxAge/10+1))
	}
	a.timer = time.AfterFunc(math.MaxInt64, a.look)
	a.timer.Reset(a.next())
	return func() { a.timer.Stop() }
}

// next returns the time until the connection is looked at again.
func (a *aging) next() time.Duration {
	d := a.idle / looks
	if !a.until.IsZero() {
		if left := time.Until(a.until); d == 0 || left < d {
			d = left
		}
	}
	return max(d, time.Millisecond)
}

func (a *aging) look() {
	sent := a.conn.out.position()
	if sent != a.sent || a.conn.calls.Len() > 0 {
		a.sent, a.quiet = sent, 0
	} else {
		a.quiet++
	}
	switch {
	case a.conn.dead.Load():
	case a.idle > 0 && a.quiet >= looks-1, !a.until.IsZero() && !time.Now().Before(a.until):
		a.conn.leave(errRetired)
	default:
		a.timer.Reset(a.next())
	}
}
