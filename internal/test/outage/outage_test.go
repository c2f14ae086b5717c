package outage

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
)

// transport is a service and its client on a broker of one kind.
type transport struct {
	name   string
	broker func(testing.TB, ...string) *testenv.Broker
	listen func(url string) micro.Listener
	dial   func(url string) micro.Conn
}

func transports() []transport {
	return []transport{
		{
			"nats", testenv.PrivateNATS,
			func(url string) micro.Listener { return micronats.Listen(url) },
			func(url string) micro.Conn { return micronats.Dial(url) },
		},
		{
			"redis", testenv.PrivateRedis,
			func(url string) micro.Listener { return microredis.Listen(url) },
			func(url string) micro.Conn { return microredis.Dial(url) },
		},
		{
			"rabbitmq", testenv.PrivateRabbitMQ,
			func(url string) micro.Listener { return microrabbit.Listen(url, "outage") },
			func(url string) micro.Conn { return microrabbit.Dial(url, "outage") },
		},
	}
}

const (
	rate    = 200                   // requests per second
	work    = 50 * time.Millisecond // of the handler, so about ten calls are in flight
	timeout = time.Minute           // of a call; an outage must not last that long
	batch   = 100                   // calls to wait for in each phase
)

// The limits on a quiet machine.
const (
	failsWithin   = time.Second
	resumesWithin = 5 * time.Second
)

var slow = micro.Cmd("slow")

// TestOutage kills and restarts the broker under load. Only the broker restarts. Calls
// in flight fail or complete without waiting for their timeout, and after the first
// answer from the restarted broker all calls succeed.
//
// With MSCTL_TEST_LONG, which requires a quiet machine, it takes a minute per broker,
// and calls in flight must end within a second and the first answer must arrive within
// five.
func TestOutage(t *testing.T) {
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			if os.Getenv("MSCTL_TEST_LONG") == "" {
				tr.run(t, 2, func(*load) {})
				return
			}
			slowest := tr.run(t, 3, func(l *load) { l.runFor(15 * time.Second) })
			if slowest.failure > failsWithin {
				t.Errorf("a call in flight ended %v after the broker was killed, want at most %v", slowest.failure, failsWithin)
			}
			if slowest.recovery > resumesWithin {
				t.Errorf("the first answer arrived %v after the broker restarted, want at most %v", slowest.recovery, resumesWithin)
			}
		})
	}
}

// run kills the broker a number of times. It calls steady before each kill, while the
// broker is down, and at the end.
func (tr transport) run(t *testing.T, kills int, steady func(*load)) durations {
	t.Helper()
	broker := tr.broker(t)
	serve(t, tr.listen(broker.URL))
	client := micro.NewClient(tr.dial(broker.URL), micro.WithTimeout(timeout))
	defer func() { _ = client.Close() }()
	awaitService(t, client)

	before := runtime.NumGoroutine()
	load := startLoad(t.Context(), client)
	defer load.stop()
	var outages []outage
	for range kills {
		load.await(t, "answered", batch, func(c call) bool { return c.err == nil })
		steady(load)
		o := outage{down: time.Now()}
		broker.Kill()
		load.await(t, "begun during the outage", batch, func(c call) bool { return c.started.After(o.down) })
		steady(load)
		broker.Start()
		o.up = time.Now()
		load.await(t, "answered after the restart", 1, func(c call) bool { return c.err == nil && c.started.After(o.up) })
		o.over = time.Now()
		outages = append(outages, o)
	}
	load.await(t, "answered", batch, func(c call) bool { return c.err == nil })
	steady(load)
	slowest := judge(t, load.stop(), outages)
	awaitGoroutines(t, before+keptWorkers)
	return slowest
}

// keptWorkers is how many idle goroutines a server keeps for the next burst.
const keptWorkers = 520

func awaitGoroutines(t *testing.T, limit int) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for runtime.NumGoroutine() > limit {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%d goroutines, want at most %d", runtime.NumGoroutine(), limit)
		}
	}
}

// serve runs a service until the test ends.
func serve(t *testing.T, listener micro.Listener) {
	t.Helper()
	s := micro.NewServer()
	micro.Handle(s, slow, func(ctx context.Context, n int) (int, error) {
		timer := time.NewTimer(work)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		return n, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
}

func awaitService(t *testing.T, client *micro.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := micro.Call[int](ctx, client, slow, 1)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the service does not answer: %v", err)
		}
	}
}

// outage is one outage of the broker.
type outage struct {
	down, up time.Time // the broker was killed, and was ready again
	over     time.Time // a call was answered that began after up
}

// overlaps reports whether the call ran at any time during the outage.
func (o outage) overlaps(c call) bool { return c.ended.After(o.down) && c.started.Before(o.over) }

// inFlight reports whether the call was in flight when the broker was killed.
func (o outage) inFlight(c call) bool { return c.started.Before(o.down) && c.ended.After(o.down) }

// durations are the longest times that were measured.
type durations struct {
	failure  time.Duration // from a kill to the end of a call in flight
	recovery time.Duration // from a restart to the first answer
}

// judge checks the outcome of each call.
func judge(t *testing.T, calls []call, outages []outage) (slowest durations) {
	t.Helper()
	count := map[error]int{}
	for _, c := range calls {
		kind, ok := kindOf(c.err)
		if !ok {
			t.Errorf("an error without a type: %v", c.err)
		}
		count[kind]++
		excused := c.err == nil
		for _, o := range outages {
			excused = excused || o.overlaps(c)
			if !o.inFlight(c) {
				continue
			}
			slowest.failure = max(slowest.failure, c.ended.Sub(o.down))
			if errors.Is(c.err, micro.ErrTimeout) {
				t.Errorf("a call in flight when the broker was killed waited for its timeout")
			}
		}
		if !excused {
			t.Errorf("a call failed %v after the start, outside of the outages: %v", c.started.Sub(calls[0].started), c.err)
		}
	}
	for _, o := range outages {
		slowest.recovery = max(slowest.recovery, o.over.Sub(o.up))
	}
	t.Logf("%d calls: %d answered, %d lost, %d unreachable, %d timed out; calls in flight at a kill ended within %v; first answer within %v of a restart",
		len(calls), count[nil], count[micro.ErrConnectionLost], count[micro.ErrUnreachable], count[micro.ErrTimeout],
		slowest.failure.Round(time.Millisecond), slowest.recovery.Round(time.Millisecond))
	if count[micro.ErrConnectionLost] == 0 {
		t.Error("no call was lost, so the outages had no effect")
	}
	return slowest
}

// kindOf returns the sentinel that an error wraps, and false if there is none.
func kindOf(err error) (kind error, ok bool) {
	for _, kind := range []error{nil, micro.ErrConnectionLost, micro.ErrUnreachable, micro.ErrTimeout} {
		if errors.Is(err, kind) {
			return kind, true
		}
	}
	return nil, false
}
