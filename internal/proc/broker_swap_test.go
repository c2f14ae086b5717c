package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// swapUnderLoadOnBrokers edits a file that all workers are built from while each of them
// receives 100 calls per second, and checks that no call fails.
func swapUnderLoadOnBrokers(t *testing.T, s *session) {
	t.Helper()
	const edits = 2
	status := statusOf(t, s)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	loads := map[workspace.Transport]*load{}
	for _, transport := range workspace.Brokers() {
		l := newLoad(connect(t, transport, status.Brokers[string(transport)]), "w-"+string(transport)+".who")
		loads[transport] = l
		running.Go(func() { l.run(ctx, 10*time.Millisecond) })
	}
	for edit := range edits {
		from := s.now()
		s.edit("contracts/contracts.go", fmt.Sprintf("Version = %d", edit+1), fmt.Sprintf("Version = %d", edit+2))
		for _, transport := range workspace.Brokers() {
			s.awaitKind(from, KindSwapped, "w-"+string(transport))
			s.awaitKind(from, KindStopped, "w-"+string(transport))
		}
	}
	for transport, l := range loads {
		if got := whoOn(t, transport, l.client); got.Version != edits+1 {
			t.Errorf("%s: version %d answers at the end, want %d", transport, got.Version, edits+1)
		}
	}
	stop()
	running.Wait()
	for transport, l := range loads {
		t.Logf("%s: %d calls, slowest call %v, %d versions answered", transport, l.calls.Load(), time.Duration(l.slowest.Load()), l.versions())
		for _, failure := range l.failures() {
			t.Errorf("%s: %s", transport, failure)
		}
		if l.versions() < 2 {
			t.Errorf("%s: %d versions answered, want at least 2", transport, l.versions())
		}
	}
	if n := len(s.find(KindKilled, "")) + len(s.find(KindNotReady, "")) + len(s.find(KindCrashed, "")); n > 0 {
		t.Errorf("%d processes were killed, did not take over, or crashed", n)
	}
}

// TestSwapWithBacklog checks that a new process can take over while the queue is so long that
// no health message would get through.
func TestSwapWithBacklog(t *testing.T) {
	t.Parallel()
	needBrokers(t, workspace.RabbitMQ)
	file, _ := shop(t, missingBrokers+worker(workspace.RabbitMQ))
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	c := connect(t, workspace.RabbitMQ, statusOf(t, s).Brokers["rabbitmq"])
	for range 30 { // more than the prefetch (8) of the old and the new process
		if err := c.Emit(t.Context(), micro.Name("w-rabbitmq.slow"), 1000*int(testTimeout.Seconds())); err != nil {
			t.Fatal(err)
		}
	}
	callCtx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if got, err := micro.Call[answer](callCtx, c, micro.Name("w-rabbitmq.who"), nil); err == nil {
		t.Errorf("%+v answers, although there should be a backlog", got)
	}
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	s.awaitKind(0, KindSwapped, "w-rabbitmq")
	s.supervisor.Kill() // the old process would drain for a long time
	if err := s.wait(); !errors.Is(err, ErrKilled) {
		t.Errorf("Run returned %v, want %v", err, ErrKilled)
	}
}

// TestNestOnBrokers checks that real NestJS services on brokers that the run has started
// become ready, and restart on a change. On RabbitMQ, the health message is always answered.
// On Redis and NATS, `ready` names a pattern to query, or the service is not queried.
func TestNestOnBrokers(t *testing.T) {
	t.Parallel()
	testenv.NeedNest(t, testenv.Nest12)
	needBrokers(t, workspace.Brokers()...)
	nest := filepath.Join(testenv.Root(), "testdata", "nest")
	service := func(name string, transport workspace.Transport, flag, more string) string {
		return fmt.Sprintf("  %s: {command: [sh, -c, 'exec node nest-server.mjs --transport %s --queue w-rabbitmq --url \"$%s\"'], dir: %q, transport: %s, "+
			"watch: ['contracts/*.go'], env: {NEST_DIR: %q, NO_COLOR: 1}, %s}\n",
			name, flag, transport.Variable(), nest, transport, filepath.Join(nest, string(testenv.Nest12)), more)
	}
	file, _ := shop(t, missingBrokers+
		service("rabbit-nest", workspace.RabbitMQ, "rmq", "queue: w-rabbitmq")+
		service("redis-nest", workspace.Redis, "redis", "ready: {pattern: {cmd: sum}}")+
		service("nats-nest", workspace.NATS, "nats", "ready: process"))
	s := start(t, file, Options{settleTime: 200 * time.Millisecond})
	s.awaitKind(0, KindAllReady, "")
	status := statusOf(t, s)
	sum := func(name string, transport workspace.Transport) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
		defer cancel()
		var got json.RawMessage
		err := poll(ctx, checkFunc(func(ctx context.Context) (err error) { // nats-nest may not be serving yet
			got, err = micro.Call[json.RawMessage](ctx, connect(t, transport, status.BrokerOf(name)), micro.Cmd("sum"), []int{1, 2})
			return err
		}))
		if err != nil || string(got) != "3" {
			t.Errorf("%s: 1 + 2 = %s, error %v", name, got, err)
		}
	}
	for name, transport := range map[string]workspace.Transport{
		"rabbit-nest": workspace.RabbitMQ, "redis-nest": workspace.Redis, "nats-nest": workspace.NATS,
	} {
		ready, _ := s.awaitKind(0, KindReady, name)
		if queried := ready.Text == ""; queried != (name != "nats-nest") {
			t.Errorf("%s: queried is %v (event text %q)", name, queried, ready.Text)
		}
		sum(name, transport)
	}
	from := s.now()
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	for _, name := range []string{"rabbit-nest", "redis-nest", "nats-nest"} {
		s.awaitKind(from, KindReady, name)
	}
	sum("redis-nest", workspace.Redis)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if n := len(s.find(KindKilled, "")); n > 0 {
		t.Errorf("%d processes were killed", n)
	}
	for _, e := range s.find(KindLog, "rabbit-nest") {
		if strings.Contains(e.Text, "PRECONDITION") {
			t.Errorf("msctl has declared the queue of the service: %s", e.Text)
		}
	}
}
