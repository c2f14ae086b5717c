package outage

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
)

// outage is a service and its callers while their broker dies and comes back.
type outage struct {
	name   string
	broker func(testing.TB, ...string) *testenv.Broker
	listen func(url string) micro.Listener
	dial   func(url string) micro.Conn
}

func outages() []outage {
	return []outage{
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

// TestOutage: the broker is killed and started again under 200 requests a second.
// Nothing but the broker restarts, the calls in flight fail within a second or
// complete, and within five seconds of the broker's return all calls succeed.
// With MSCTL_TEST_LONG it takes a minute for each broker, with three outages.
func TestOutage(t *testing.T) {
	kills, steady := 2, time.Second
	if os.Getenv("MSCTL_TEST_LONG") != "" {
		kills, steady = 3, 15*time.Second
	}
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) { o.run(t, kills, steady) })
	}
}

const (
	outageRate     = 200
	outageWork     = 50 * time.Millisecond // of the handler: so about ten calls are in flight
	outagePatience = 4 * time.Second       // of a caller
	slack          = 2 * time.Second       // for a machine that does other work
)

var slowly = micro.Cmd("slowly")

func (o outage) run(t *testing.T, kills int, steady time.Duration) {
	t.Helper()
	broker := o.broker(t)
	serve(t, o.listen(broker.URL))
	client := micro.NewClient(o.dial(broker.URL), micro.WithTimeout(outagePatience))
	defer func() { _ = client.Close() }()
	awaitService(t, client)

	before := runtime.NumGoroutine()
	load := startLoad(t.Context(), client)
	var down, up []time.Time
	for range kills {
		load.runFor(steady)
		down = append(down, time.Now())
		broker.Kill()
		load.runFor(steady)
		broker.Start()
		up = append(up, time.Now())
		load.runFor(resumeWithin)
	}
	load.runFor(steady)
	judge(t, load.stop(), down, up)
	awaitGoroutines(t, before+keptWorkers)
}

// keptWorkers is how many goroutines a server may keep for the next burst.
const keptWorkers = 520

func awaitGoroutines(t *testing.T, most int) {
	t.Helper()
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for runtime.NumGoroutine() > most {
		select {
		case <-look.C:
		case <-timeout.C:
			t.Fatalf("%d goroutines, wanted %d at the most", runtime.NumGoroutine(), most)
		}
	}
}

// resumeWithin is how long after the broker's return everything works again.
const resumeWithin = 5 * time.Second

// serve runs a service until the test ends.
func serve(t *testing.T, listener micro.Listener) {
	t.Helper()
	s := micro.NewServer()
	micro.Handle(s, slowly, func(ctx context.Context, n int) (int, error) {
		work := time.NewTimer(outageWork)
		defer work.Stop()
		select {
		case <-work.C:
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
			t.Errorf("the service ended: %v", err)
		}
	})
}

func awaitService(t *testing.T, client *micro.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := micro.Call[int](ctx, client, slowly, 1)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the service does not answer: %v", err)
		}
	}
}

// call is one request of the load and its end.
type call struct {
	started, ended time.Time
	err            error
}

// load makes requests at a constant rate, whatever becomes of them.
type load struct {
	cancel context.CancelFunc
	paced  chan struct{} // closed when no more calls begin

	mu    sync.Mutex
	calls []call
	open  sync.WaitGroup
}

func startLoad(ctx context.Context, client *micro.Client) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, paced: make(chan struct{})}
	go func() {
		defer close(l.paced)
		tick := time.NewTicker(time.Second / outageRate)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				l.open.Go(func() { l.call(client, n) })
			case <-ctx.Done():
				return
			}
		}
	}()
	return l
}

func (l *load) call(client *micro.Client, n int) {
	c := call{started: time.Now()}
	got, err := micro.Call[int](context.Background(), client, slowly, n)
	if err == nil && got != n {
		err = errors.New("the answer of another call")
	}
	c.ended, c.err = time.Now(), err
	l.mu.Lock()
	l.calls = append(l.calls, c)
	l.mu.Unlock()
}

// runFor lets the load go on for d.
func (l *load) runFor(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// stop ends the load, waits for the calls and returns them.
func (l *load) stop() []call {
	l.cancel()
	<-l.paced
	l.open.Wait()
	return l.calls
}

func judge(t *testing.T, calls []call, down, up []time.Time) {
	t.Helper()
	var ok, lost, unreachable, late int
	var slowestLoss, slowestReturn time.Duration
	first := make([]time.Time, len(up)) // success after each return
	for _, c := range calls {
		for i := range down {
			if c.err == nil && c.started.After(down[i]) && c.ended.After(up[i]) && (first[i].IsZero() || c.ended.Before(first[i])) {
				first[i] = c.ended
			}
			if c.started.Before(down[i]) && c.ended.After(down[i]) {
				slowestLoss = max(slowestLoss, c.ended.Sub(down[i]))
			}
		}
		switch {
		case c.err == nil:
			ok++
		case errors.Is(c.err, micro.ErrConnectionLost):
			lost++
		case errors.Is(c.err, micro.ErrUnreachable): // nobody serves, for a moment, among them
			unreachable++
		case errors.Is(c.err, micro.ErrTimeout):
			late++
		default:
			t.Errorf("an error without a type: %v", c.err)
		}
		if c.err != nil && !excused(c, down, up) {
			t.Errorf("a call failed %v after the start, outside of the outages: %v", c.started.Sub(calls[0].started), c.err)
		}
	}
	for i := range first {
		if first[i].IsZero() {
			t.Fatalf("no call succeeded after return %d", i+1)
		}
		slowestReturn = max(slowestReturn, first[i].Sub(up[i]))
	}
	t.Logf("%d calls: %d answered, %d lost, %d unreachable, %d timed out; in flight at a kill: ended within %v; answers again within %v of a return",
		len(calls), ok, lost, unreachable, late, slowestLoss.Round(time.Millisecond), slowestReturn.Round(time.Millisecond))
	if lost == 0 {
		t.Error("no call was lost: the outage was none")
	}
	if slowestLoss > time.Second+slack {
		t.Errorf("a call in flight at the kill ended %v after it", slowestLoss)
	}
	if slowestReturn > resumeWithin+slack {
		t.Errorf("the first answer came %v after the broker's return", slowestReturn)
	}
}

// excused reports whether a call overlapped an outage or the time to recover.
func excused(c call, down, up []time.Time) bool {
	for i := range down {
		if c.ended.After(down[i]) && c.started.Before(up[i].Add(resumeWithin+slack)) {
			return true
		}
	}
	return false
}
