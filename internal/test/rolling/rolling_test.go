//go:build unix

package rolling

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
)

const (
	replicas = 3
	clients  = 10
	rate     = 500 // requests per second, of all clients
)

// TestRollingRestart replaces three replicas one after another under load: a new one starts,
// then an old one gets SIGTERM. No request fails, although no client has a policy. On each
// transport but Redis, each request is handled once; on Redis, every replica handles every
// request.
//
// With MSCTL_TEST_LONG, it takes a minute per transport, with 500 requests per second. On TCP, new
// connections still arrive at a replica for two seconds after SIGTERM. Otherwise, the front learns of the
// end before SIGTERM, so that the test does not depend on time.
func TestRollingRestart(t *testing.T) {
	for _, transport := range []string{"tcp", "rabbitmq", "redis", "nats"} {
		t.Run(transport, func(t *testing.T) {
			d := &deployment{t: t, transport: transport}
			long := os.Getenv("MSCTL_TEST_LONG") != ""
			if long {
				d.lag = 2 * time.Second
			}
			d.deploy()
			load := startLoad(t, rate, d.call)
			began := time.Now()
			for d.replaced < replicas || long && time.Since(began) < time.Minute {
				load.await(50)
				d.replaceOne()
			}
			load.await(50)
			d.judge(load.stop())
		})
	}
}

// deployment is a service with its callers.
type deployment struct {
	t         *testing.T
	transport string
	lag       time.Duration // from SIGTERM until the front sends a replica no more connections; 0: it does so before
	url       string        // of the broker; for replicas on TCP, of their port
	front     *front        // on TCP
	clients   []*micro.Client
	running   []*replica
	handled   int // by replicas that have ended
	replaced  int
}

// deploy starts the replicas and connects the clients.
func (d *deployment) deploy() {
	t := d.t
	t.Helper()
	var dial func() micro.Conn
	switch d.transport {
	case "tcp":
		d.url, d.front = "127.0.0.1:0", startFront(t)
		dial = func() micro.Conn { return microtcp.Dial(d.front.addr) }
	case "rabbitmq":
		d.url = testenv.PrivateRabbitMQ(t).URL
		dial = func() micro.Conn { return microrabbit.Dial(d.url, service) }
	case "redis":
		d.url = testenv.PrivateRedis(t).URL
		dial = func() micro.Conn { return microredis.Dial(d.url) }
	case "nats":
		d.url = testenv.PrivateNATS(t).URL
		dial = func() micro.Conn { return micronats.Dial(d.url) }
	}
	for range replicas {
		d.start()
	}
	for range clients {
		c := micro.NewClient(dial(), micro.WithTimeout(time.Minute), quiet) // also on a busy machine
		t.Cleanup(func() { _ = c.Close() })
		d.clients = append(d.clients, c)
	}
}

// quiet discards a client's log: on Redis, each one warns that a request has several receivers.
var quiet = micro.WithLogger(slog.New(slog.DiscardHandler))

func (d *deployment) start() {
	d.t.Helper()
	r := startReplica(d.t, d.transport, d.url, d.lag*3/2)
	d.running = append(d.running, r)
	if d.front != nil {
		d.front.add(r.addr)
	}
}

// replaceOne starts a replica and ends the oldest one.
func (d *deployment) replaceOne() {
	d.t.Helper()
	d.start()
	old := d.running[0]
	d.running = d.running[1:]
	switch {
	case d.front == nil:
		old.terminate(d.t)
	case d.lag == 0:
		d.front.remove(old.addr)
		old.terminate(d.t)
	default:
		old.terminate(d.t)
		d.connectAnew()
		d.front.remove(old.addr)
	}
	d.handled += old.ended(d.t)
	d.replaced++
}

// connectAnew makes calls on new connections during the lag.
func (d *deployment) connectAnew() {
	end := time.After(d.lag)
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for n := 0; ; n++ {
		select {
		case <-end:
			return
		case <-every.C:
			c := micro.NewClient(microtcp.Dial(d.front.addr), micro.WithTimeout(time.Minute))
			if got, err := micro.Call[int](context.Background(), c, work, n); got != n || err != nil {
				d.t.Errorf("a new client, after SIGTERM: %d, %v", got, err)
			}
			d.handled-- // it is not a call of the load
			_ = c.Close()
		}
	}
}

// judge ends all replicas and compares their counts with the calls.
func (d *deployment) judge(calls int, failed []error) {
	d.t.Helper()
	for _, c := range d.clients {
		_ = c.Close()
	}
	for _, r := range d.running {
		r.terminate(d.t)
		d.handled += r.ended(d.t)
	}
	d.t.Logf("%d calls, %d failed; %d replicas replaced; %d times handled", calls, len(failed), d.replaced, d.handled)
	for _, err := range failed[:min(len(failed), 5)] {
		d.t.Error(err)
	}
	if d.transport == "redis" {
		if d.handled < replicas*calls {
			d.t.Errorf("the replicas handled %d calls %d times, want each of them each time", calls, d.handled)
		}
		return
	}
	if d.handled != calls {
		d.t.Errorf("%d calls were handled %d times", calls, d.handled)
	}
	if d.front != nil && d.front.refused > 0 {
		d.t.Errorf("replicas refused %d connections", d.front.refused)
	}
}

// call is request n.
func (d *deployment) call(n int) error {
	got, err := micro.Call[int](context.Background(), d.clients[n%clients], work, n)
	if err == nil && got != n {
		err = fmt.Errorf("the answer to another call: %d", got)
	}
	return err
}

// load makes calls at a constant rate, whatever their outcome.
type load struct {
	t      *testing.T
	call   func(n int) error
	cancel context.CancelFunc
	paced  chan struct{} // closed when no more calls begin
	open   sync.WaitGroup
	ended  atomic.Int64 // calls
	mu     sync.Mutex   // guards failed
	failed []error
}

func startLoad(t *testing.T, perSecond int, call func(n int) error) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{t: t, call: call, cancel: cancel, paced: make(chan struct{})}
	t.Cleanup(func() { cancel(); <-l.paced; l.open.Wait() })
	go func() {
		defer close(l.paced)
		began := time.Now()
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for n := 0; ; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			for due := int(time.Since(began).Seconds() * float64(perSecond)); n < due; n++ { // ticks may be missed
				number := n // the loop continues while the call runs
				l.open.Go(func() { l.count(number, began) })
			}
		}
	}()
	return l
}

// count makes one call, and counts it.
func (l *load) count(n int, began time.Time) {
	if err := l.call(n); err != nil {
		l.mu.Lock()
		l.failed = append(l.failed, fmt.Errorf("call %d, ended after %v: %w", n, time.Since(began).Round(time.Millisecond), err))
		l.mu.Unlock()
	}
	l.ended.Add(1)
}

// await waits until n more calls have ended.
func (l *load) await(n int64) {
	l.t.Helper()
	until := l.ended.Load() + n
	testenv.Eventually(l.t, time.Minute, "calls end", func() bool { return l.ended.Load() >= until })
}

// stop ends the load, waits for the calls in flight, and returns how many there were, and the
// errors of those that failed.
func (l *load) stop() (calls int, failed []error) {
	l.cancel()
	<-l.paced
	l.open.Wait()
	return int(l.ended.Load()), l.failed
}
