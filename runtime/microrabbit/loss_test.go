package microrabbit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestBrokerKilled checks that pending calls fail within a second after the broker was
// killed, and that servers and clients recover by themselves, including their queues and
// bindings, when the broker restarts.
func TestBrokerKilled(t *testing.T) {
	b := testenv.PrivateRabbitMQ(t)
	q, dead := "killed", "killed.dead"
	s := quietServer()
	entered := make(chan struct{}, 10)
	var leave atomic.Pointer[chan struct{}] // of the round
	micro.Handle(s, micro.Name("hold"), func(context.Context, micro.None) (micro.None, error) {
		until := *leave.Load()
		entered <- struct{}{}
		<-until
		return micro.None{}, nil
	})
	handled := make(chan string, 100)
	micro.HandleEvent(s, micro.Name("orders.*"), func(ctx context.Context, in string) error {
		if in == "fails" && DeliveryFromContext(ctx).Attempt == 1 {
			return errors.New("once")
		}
		handled <- in
		return nil
	})
	start(t, s, Listen(b.URL, q, WithTopology(Topology{Wildcards: true, DeadLetter: dead}), WithAck(AckAfterHandling), WithPrefetch(2, false), quickRedelivery))
	c := dial(t, b.URL, q, WithTopology(Topology{Wildcards: true}))
	call := func(c *micro.Client) (string, error) { return micro.Call[string](t.Context(), c, echo, "x") }
	for range 2 {
		if _, err := call(c); err != nil {
			t.Fatal(err)
		}
		lost, killedFirst := make(chan error, 2), make(chan struct{})
		leave.Store(&killedFirst)
		for range 2 { // fill the prefetch window
			go func() {
				_, err := micro.Call[micro.None](t.Context(), c, micro.Name("hold"), nil)
				lost <- err
			}()
		}
		for range 2 {
			take(t, "a pending call", entered)
		}
		b.Kill()
		for range 2 {
			if err := take(t, "the lost call", lost); !errors.Is(err, micro.ErrConnectionLost) {
				t.Errorf("%v", err)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if _, err := micro.Call[string](short, c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("without a broker: %v", err)
		}
		cancel()
		close(killedFirst) // the replies have no caller and no broker
		b.Start()
		eventually(t, "service resumes", func() bool { _, err := call(c); return err == nil })
		for _, event := range []string{"fine", "fails"} { // bindings, acknowledgments, and the outbox work again
			if err := c.Emit(t.Context(), micro.Name("orders.created"), event); err != nil {
				t.Error(err)
			}
			if got := take(t, "the event", handled); got != event {
				t.Errorf("%s, want %s", got, event)
			}
		}
	}
}

// TestQueueDeleted checks that a server declares and consumes its queue again after it was
// deleted.
func TestQueueDeleted(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := unique(t, "deleted")
	start(t, quietServer(), Listen(b.URL, q))
	c := dial(t, b.URL, q)
	for range 2 {
		if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := p.ch.QueueDelete(q, false, false, false); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the queue is back", func() bool {
			_, err := micro.Call[string](t.Context(), c, echo, "x")
			if err != nil && !errors.Is(err, micro.ErrNotServed) {
				t.Errorf("%v", err)
			}
			return err == nil
		})
	}
}

// TestQueueChanged checks that Serve returns the reason, rather than retrying forever, if
// the queue was recreated with different options.
func TestQueueChanged(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := unique(t, "changed")
	served := make(chan error, 1)
	l := Listen(b.URL, q, WithReconnect(-1, 2*time.Second))
	go func() { served <- quietServer().Serve(t.Context(), l) }()
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ch.QueueDelete(q, false, false, false); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ch.QueueDeclare(q, true, false, false, false, amqp.Table{"x-max-length": int64(3)}); err != nil {
		t.Skip("the server was quicker: ", err)
	}
	if err := take(t, "the end of the server", served); err == nil || !strings.Contains(err.Error(), "x-max-length") {
		t.Errorf("%v", err)
	}
}

// TestPausedBroker checks that a silent broker counts as lost after three heartbeats.
func TestPausedBroker(t *testing.T) {
	b := testenv.PrivateRabbitMQ(t)
	start(t, quietServer(), Listen(b.URL, "q", WithHeartbeat(2*time.Second)))
	c := dial(t, b.URL, "q", WithHeartbeat(2*time.Second))
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Fatal(err)
	}
	b.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := micro.Call[string](ctx, c, echo, "x")
	b.Resume()
	if !errors.Is(err, micro.ErrConnectionLost) {
		t.Errorf("%v", err)
	}
	eventually(t, "service resumes", func() bool {
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		return err == nil
	})
}

// service is a process that handles the events of a queue and acknowledges them.
type service struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
}

// handledEvents counts the events that services have handled.
type handledEvents struct {
	mu    sync.Mutex
	times map[string]int
}

func (s *handledEvents) distinct() (n, duplicates int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.times {
		n++
		duplicates += times - 1
	}
	return n, duplicates
}

func startService(t *testing.T, url, queue string, to *handledEvents) *service {
	t.Helper()
	s := &service{t: t, cmd: exec.Command(os.Args[0], queue), done: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), serviceEnv+"="+url)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			to.mu.Lock()
			to.times[lines.Text()]++
			to.mu.Unlock()
		}
	}()
	t.Cleanup(s.kill)
	return s
}

// kill ends the process with SIGKILL.
func (s *service) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
	_ = s.cmd.Wait()
}

// TestNothingLost checks that with a durable queue, persistent events, and confirmations,
// no event is lost, however often the broker and the service are killed. Some events are
// handled twice.
func TestNothingLost(t *testing.T) {
	n, kills := 4000, 1
	if os.Getenv("MSCTL_TEST_LONG") != "" {
		n, kills = 100_000, 3
	}
	b := testenv.PrivateRabbitMQ(t)
	got := &handledEvents{times: map[string]int{}}
	running := startService(t, b.URL, "events", got)
	c := dial(t, b.URL, "events", WithPersistent())
	sent := make(chan int, 1)
	go func() { sent <- emitAll(t, c, n) }()
	progress := func(part int) func() bool {
		return func() bool { handled, _ := got.distinct(); return handled >= part }
	}
	for i := range kills {
		await(t, "events before the broker is killed", progress((2*i+1)*n/(2*kills+1)))
		b.Kill()
		b.Start()
		await(t, "events before the service is killed", progress((2*i+2)*n/(2*kills+1)))
		running.kill()
		running = startService(t, b.URL, "events", got)
	}
	again := <-sent
	await(t, "all events", progress(n))
	handled, duplicates := got.distinct()
	if handled != n {
		t.Errorf("%d events of %d were handled", handled, n)
	}
	for i := range n {
		if got.times[fmt.Sprint(i)] == 0 {
			t.Fatalf("event %d is lost", i)
		}
	}
	t.Logf("%d events, the broker and the service killed %d times each: none lost, %d emitted again without a confirmation, %d handled again", n, kills, again, duplicates)
}

// await is like eventually, but with a timeout of minutes.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(4 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: not within 4 minutes", what)
		}
	}
}
