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

// TestSwapBehindBrokers edits what all workers are built from while each is
// called 100 times a second through its broker: not one call may fail.
func TestSwapBehindBrokers(t *testing.T) {
	needBrokers(t, workspace.Brokers()...)
	withoutVariables(t)
	const edits = 2
	file, _ := shop(t, nobody+worker(workspace.NATS)+worker(workspace.Redis)+worker(workspace.RabbitMQ))
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
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
	for _, transport := range workspace.Brokers() {
		l := loads[transport]
		if got := whoBehind(t, transport, l.client); got.Version != edits+1 {
			t.Errorf("%s: version %d answers at the end, want %d", transport, got.Version, edits+1)
		}
	}
	stop()
	running.Wait()
	for transport, l := range loads {
		t.Logf("%s: %d calls, slowest %v, %d versions", transport, l.calls.Load(), time.Duration(l.slowest.Load()), l.versions())
		for _, failure := range l.failures() {
			t.Errorf("%s: %s", transport, failure)
		}
		if l.versions() < 2 {
			t.Errorf("%s: %d versions have answered", transport, l.versions())
		}
	}
	if n := len(s.find(KindKilled, "")) + len(s.find(KindNotReady, "")) + len(s.find(KindCrashed, "")); n > 0 {
		t.Errorf("%d processes were killed, did not take over or crashed", n)
	}
}

// TestSwapBehindBacklog: a queue full of work, in which no message of ours would
// get through, keeps no new process from taking over.
func TestSwapBehindBacklog(t *testing.T) {
	needBrokers(t, workspace.RabbitMQ)
	withoutVariables(t)
	file, _ := shop(t, nobody+worker(workspace.RabbitMQ))
	s := start(t, file, Options{ReadyTimeout: 30 * time.Second})
	s.awaitKind(0, KindAllReady, "")
	c := connect(t, workspace.RabbitMQ, statusOf(t, s).Brokers["rabbitmq"])
	for range 30 { // prefetch is 8, for the old process and for the new one
		if err := c.Emit(t.Context(), micro.Name("w-rabbitmq.slow"), 1000*int(patience.Seconds())); err != nil {
			t.Fatal(err)
		}
	}
	asking, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if got, err := micro.Call[answer](asking, c, micro.Name("w-rabbitmq.who"), nil); err == nil {
		t.Errorf("there is no backlog: %+v has answered", got)
	}
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	s.awaitKind(0, KindSwapped, "w-rabbitmq")
	s.supervisor.Kill() // it would drain for a while
	if err := s.wait(); !errors.Is(err, ErrKilled) {
		t.Errorf("error %v, want ErrKilled", err)
	}
}

// TestNestBehindBrokers: real NestJS services are reached through brokers that
// the run has started, and are started again on a change. On RabbitMQ any queue
// answers; on Redis and NATS one is asked for a pattern of its own, or nobody is.
func TestNestBehindBrokers(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	needBrokers(t, workspace.Brokers()...)
	withoutVariables(t)
	nest := filepath.Join(testenv.Root(), "testdata", "nest")
	service := func(name string, transport workspace.Transport, flag, more string) string {
		return fmt.Sprintf("  %s: {command: [sh, -c, 'exec node nest-server.mjs --transport %s --queue w-rabbitmq --url \"$%s\"'], dir: %q, transport: %s, "+
			"watch: ['contracts/*.go'], env: {NEST_DIR: %q, NO_COLOR: 1}, %s}\n",
			name, flag, transport.Variable(), nest, transport, filepath.Join(nest, string(testenv.Nest12)), more)
	}
	file, _ := shop(t, nobody+
		service("rabbit-nest", workspace.RabbitMQ, "rmq", "queue: w-rabbitmq")+
		service("redis-nest", workspace.Redis, "redis", "ready: {pattern: {cmd: sum}}")+
		service("nats-nest", workspace.NATS, "nats", "ready: process"))
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	status := statusOf(t, s)
	sum := func(name string, transport workspace.Transport) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var got json.RawMessage
		err := awaitAnswer(ctx, askFunc(func(ctx context.Context) (err error) { // nobody knows when nats-nest serves
			got, err = micro.Call[json.RawMessage](ctx, connect(t, transport, status.BrokerOf(name)), micro.Cmd("sum"), []int{1, 2})
			return err
		}))
		if err != nil || string(got) != "3" {
			t.Errorf("%s: 1 + 2 = %s, %v", name, got, err)
		}
	}
	for name, transport := range map[string]workspace.Transport{
		"rabbit-nest": workspace.RabbitMQ, "redis-nest": workspace.Redis, "nats-nest": workspace.NATS,
	} {
		ready, _ := s.awaitKind(0, KindReady, name)
		if asked := ready.Text == ""; asked != (name != "nats-nest") {
			t.Errorf("%s was asked: %v (%q)", name, asked, ready.Text)
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
		t.Errorf("%d processes had to be killed", n)
	}
	for _, e := range s.find(KindLog, "rabbit-nest") {
		if strings.Contains(e.Text, "PRECONDITION") {
			t.Errorf("we have asserted the queue in its place: %s", e.Text)
		}
	}
}
