package agents

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/target"
)

// trap is a listener that counts connections.
func trap(t *testing.T) (address string, count *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count = new(atomic.Int64)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String(), count
}

// stranger is a client of the NATS server that is neither coordinator nor agent.
type stranger struct {
	conn *nats.Conn
	mu   sync.Mutex // guards the field below
	seen [][]byte   // all messages
	subs []string
}

func newStranger(t *testing.T, f *fleet) *stranger {
	t.Helper()
	conn, err := nats.Connect(f.url)
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{conn: conn}
	if _, err := conn.Subscribe(">", func(m *nats.Msg) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen, s.subs = append(s.seen, m.Data), append(s.subs, m.Subject)
	}); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return s
}

// agent returns the presence of the one agent, once it is idle.
func (s *stranger) agent(t *testing.T) presence {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		m, err := s.conn.Request(subjects{"test"}.find(), nil, 100*time.Millisecond)
		var p presence
		if err == nil && json.Unmarshal(m.Data, &p) == nil && p.State == stateIdle {
			return p
		}
	}
	t.Fatal("no agent is idle")
	return presence{}
}

// order sends a message to an agent and returns the answer.
func (s *stranger) order(t *testing.T, id string, message []byte) reply {
	t.Helper()
	m, err := s.conn.Request(subjects{"test"}.agent(id), message, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var r reply
	if err := json.Unmarshal(m.Data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStrangers sends commands that an agent must refuse: without a signature, with a wrong
// one, altered, replayed, and for another agent or run.
func TestStrangers(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, nil)
	s := newStranger(t, f)
	svc := serve(t)
	f.mustRun(t, settings{to: svc.address, set: [][2]string{{"rate", "100/s"}, {"requests", "20"}}}, nil)
	before := len(svc.received())
	p := s.agent(t)
	seed, _, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewSigner(seed)
	if err != nil {
		t.Fatal(err)
	}
	good := func(change func(*command)) *command {
		c := &command{Pool: "test", Run: "R", Agent: p.ID, Nonce: p.Nonce, Seq: 1, Kind: kindAsk}
		if change != nil {
			change(c)
		}
		return c
	}
	sign := func(signer *Signer, c *command) []byte {
		message, err := signer.sign(c)
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	var altered signed
	if err := json.Unmarshal(sign(f.signer, good(nil)), &altered); err != nil {
		t.Fatal(err)
	}
	altered.Command = []byte(strings.Replace(string(altered.Command), kindAsk, kindStop, 1))
	for name, c := range map[string]struct {
		message []byte
		reason  string
	}{
		"garbage":       {[]byte("stop"), "malformed"},
		"unsigned":      {encode(signed{Command: encode(good(nil))}), "not signed"},
		"wrongly":       {sign(other, good(nil)), "not that of the trusted key"},
		"altered":       {encode(altered), "not that of the trusted key"},
		"another agent": {sign(f.signer, good(func(c *command) { c.Agent = "X" })), "another agent"},
		"another pool":  {sign(f.signer, good(func(c *command) { c.Pool = "X" })), "another agent"},
		"old nonce":     {sign(f.signer, good(func(c *command) { c.Nonce = "X" })), "earlier run"},
	} {
		if got := s.order(t, p.ID, c.message); !strings.Contains(got.Refused, c.reason) {
			t.Errorf("%s: the answer is %+v, not a refusal because it is %q", name, got, c.reason)
		}
	}
	valid := sign(f.signer, good(nil))
	if got := s.order(t, p.ID, valid); got.Refused != "" {
		t.Errorf("a valid command was refused: %s", got.Refused)
	}
	if got := s.order(t, p.ID, valid); !strings.Contains(got.Refused, "sent before") {
		t.Errorf("a command was carried out twice: %+v", got)
	}
	// Everything that the coordinator has sent, again.
	s.mu.Lock()
	recorded := map[string][]byte{}
	for i, subject := range s.subs {
		if strings.Contains(subject, ".agent.") {
			recorded[string(s.seen[i])] = s.seen[i]
		}
	}
	s.mu.Unlock()
	for _, message := range recorded {
		if got := s.order(t, p.ID, message); got.Refused == "" {
			t.Errorf("a recorded command was carried out: %s", message)
		}
	}
	if after := len(svc.received()); after != before {
		t.Errorf("the service received %d requests after the run", after-before)
	}
}

// TestNotAllowed sends plans with targets that are not on the agent's allow list. The
// listener there counts no connection.
func TestNotAllowed(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, func(o *AgentOptions) { o.Allow = []string{"127.0.0.1:1", "10.1.2.0/24", "localhost:2"} })
	address, connections := trap(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{
		"tcp://" + address, "tcp://localhost:" + port, "tcp://127.0.0.1:1,127.0.0.1:" + port, "nats://" + address, "redis://" + address,
		"amqp://" + address + "/queue", "http://" + address + "/x", "http://localhost:" + port + "/{{seq}}", "tcp://[::1]:" + port, "tls://" + address,
	} {
		b := settings{to: to, set: [][2]string{{"requests", "5"}}}
		if strings.HasPrefix(to, "http") {
			b.args = []string{"a=1"}
		}
		_, err := f.run(t, b, nil)
		if err == nil || !strings.Contains(err.Error(), "--allow") || !strings.Contains(err.Error(), "refused") || exit.Code(err) != exit.Usage {
			t.Errorf("%s: the error is %v (%d)", to, err, exit.Code(err))
		}
	}
	if n := connections.Load(); n > 0 {
		t.Errorf("the agent has connected %d times", n)
	}
}

// TestLeaseWhileArming prepares a run until the coordinator has renewed the lease: an agent that takes longer than the lease
// to fetch a large file is not taken for an abandoned one.
func TestLeaseWhileArming(t *testing.T) {
	t.Parallel()
	leased := make(chan struct{})
	f := newFleet(t, 1, func(o *AgentOptions) { o.onClock = func(time.Time, reading) { <-leased } })
	s := newStranger(t, f)
	svc := serve(t)
	var once sync.Once
	if _, err := s.conn.Subscribe(subjects{"test"}.agent("*"), func(m *nats.Msg) {
		if c, err := verify(m.Data, f.signer.Public()); err == nil && c.Kind != kindPlan {
			once.Do(func() {
				if close(leased); c.Kind != kindLease {
					t.Errorf("the first command after the plan is %s", c.Kind)
				}
			})
		}
	}); err != nil {
		t.Fatal(err)
	}
	if r := f.mustRun(t, settings{to: svc.address, set: [][2]string{{"requests", "5"}}}, nil); r.Outcomes["ok"] != 5 {
		t.Errorf("the outcomes are %v", r.Outcomes)
	}
}

// TestMovedName prepares and makes runs whose target has another address than when it was checked, which is not allowed. The
// listener there counts no connection, not even of the questions that find out why it cannot be reached.
func TestMovedName(t *testing.T) {
	t.Parallel()
	list, err := parseAllow([]string{"10.1.2.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	guard := list.guard()
	guard.Target = func(context.Context, target.Target) error { return nil }
	for _, scheme := range []string{"tcp", "tls", "nats", "nats+tls", "redis", "rediss", "redis+sentinel", "amqp", "amqps", "http"} {
		address, connections := trap(t)
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		to, args := scheme+"://localhost:"+port, []string{"cmd=work"}
		switch scheme {
		case "amqp", "amqps":
			to += "/queue"
		case "redis+sentinel":
			to += "/master"
		case "http":
			args = []string{"a=1"}
		}
		b := settings{to: to, args: args, set: [][2]string{{"requests", "3"}, {"timeout", "1s"}}}
		_, err = bench.PreparePart(t.Context(), b.spec(t, nil), load.Part{Of: 1}, guard)
		if err == nil || connections.Load() > 0 {
			t.Errorf("%s: the error is %v, and the agent has connected %d times", scheme, err, connections.Load())
		}
		t.Logf("%s: %v", scheme, err)
	}
}

// TestMovedBeforeRun moves a target between the preparation of a run and its start, also behind the proxy of a fault: no
// request arrives at the other address.
func TestMovedBeforeRun(t *testing.T) {
	t.Parallel()
	for _, faults := range [][][2]string{nil, {{"fault", "latency=1ms"}}} {
		s := serve(t)
		var moved atomic.Bool
		refused := errors.New("not allowed")
		guard := bench.Guard{Control: func(string, string, syscall.RawConn) error {
			if moved.Load() {
				return refused
			}
			return nil
		}}
		b := settings{to: s.address, set: append(faults, [2]string{"requests", "10"}, [2]string{"users", "1"}, [2]string{"timeout", "1s"})}
		part, err := bench.PreparePart(t.Context(), b.spec(t, nil), load.Part{Of: 1}, guard)
		if err != nil {
			t.Fatal(err)
		}
		moved.Store(true)
		run, err := part.Start(t.Context(), func(*load.Plan) {})
		if err != nil {
			t.Fatal(err)
		}
		run.Wait()
		if n := s.count(); n > 0 {
			t.Errorf("with the faults %v, the service received %d requests", faults, n)
		}
		part.Close()
	}
}

// TestRedirects follows a redirect to an address that is not allowed.
func TestRedirects(t *testing.T) {
	t.Parallel()
	address, connections := trap(t)
	from := redirecting(t, "http://"+address+"/")
	f := newFleet(t, 1, func(o *AgentOptions) { o.Allow = []string{strings.TrimPrefix(from, "http://")} })
	r := f.mustRun(t, settings{to: from + "/x", args: []string{"a=1"}, set: [][2]string{{"requests", "5"}, {"redirects", "3"}, {"timeout", "1s"}}}, nil)
	if r.Outcomes["ok"] != 0 || connections.Load() > 0 {
		t.Errorf("%d requests were ok, and the agent has connected %d times", r.Outcomes["ok"], connections.Load())
	}
}

// TestNoSecretTravels records all messages of a run whose credentials are in the environment
// of the agents, and refuses those in the settings.
func TestNoSecretTravels(t *testing.T) {
	const password = "hunter2-of-the-agents"
	t.Setenv("APP_PASSWORD", password)
	f := newFleet(t, 2, nil)
	s := newStranger(t, f)
	svc := serve(t)
	r := f.mustRun(t, settings{to: svc.address, args: []string{"cmd=work", "password=$APP_PASSWORD"}, set: [][2]string{{"requests", "20"}, {"meta", "authorization=$APP_PASSWORD"}}}, nil)
	if got := svc.received(); len(got) != 20 || !strings.Contains(got[0], password) || r.Outcomes["ok"] != 20 {
		t.Errorf("the agents did not look up the variable: %q", got)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) < 10 {
		t.Fatal("no messages were seen")
	}
	for i, data := range s.seen {
		if strings.Contains(string(data), password) {
			t.Errorf("a message on %s contains the password", s.subs[i])
		}
	}
	count := len(s.seen)
	s.mu.Unlock()
	for _, b := range []settings{
		{to: "amqp://user:geheim@127.0.0.1/queue"},
		{to: svc.address, args: []string{"cmd=work", "password=geheim"}},
		{to: svc.address, set: [][2]string{{"meta", "authorization=geheim"}}},
	} {
		_, err := f.run(t, b, nil)
		if err == nil || !strings.Contains(err.Error(), "contains a credential") || exit.Code(err) != exit.Usage || strings.Contains(err.Error(), "geheim") {
			t.Errorf("the error is %v", err)
		}
	}
	s.mu.Lock()
	if len(s.seen) != count {
		t.Error("something was sent for a plan with a password")
	}
}

// count returns the number of agents with a state.
func (s *stranger) count(t *testing.T, state string) (n int) {
	t.Helper()
	replies, err := s.conn.SubscribeSync(nats.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := s.conn.PublishRequest(subjects{"test"}.find(), replies.Subject, nil); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := replies.NextMsg(100 * time.Millisecond)
		if err != nil {
			return n
		}
		var p presence
		if json.Unmarshal(m.Data, &p) == nil && p.State == state {
			n++
		}
	}
}
