package micronats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/test/testenv"
)

// rawPeer is a connection that does not parse packets.
type rawPeer struct {
	*nats.Conn
	inbox string

	mu      sync.Mutex
	replies map[string][]*nats.Msg // by inbox
}

// dialRaw connects to a broker until the test ends; what comes to an inbox of
// the peer is kept.
func dialRaw(t testing.TB, url string) *rawPeer {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	p := &rawPeer{Conn: nc, inbox: nats.NewInbox() + ".", replies: map[string][]*nats.Msg{}}
	if _, err := nc.Subscribe(p.inbox+"*", p.take); err != nil {
		t.Fatal(err)
	}
	p.flush(t)
	return p
}

func (p *rawPeer) take(msg *nats.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies[msg.Subject] = append(p.replies[msg.Subject], msg)
}

// newInbox returns a subject whose messages are kept.
func (p *rawPeer) newInbox() string { return p.inbox + nats.NewInbox()[len("_INBOX."):] }

// came returns the bodies that came to an inbox so far.
func (p *rawPeer) came(inbox string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var bodies []string
	for _, msg := range p.replies[inbox] {
		bodies = append(bodies, string(msg.Data))
	}
	return bodies
}

func (p *rawPeer) flush(t testing.TB) {
	t.Helper()
	if err := p.FlushTimeout(soon); err != nil {
		t.Fatal(err)
	}
}

func (p *rawPeer) send(t testing.TB, msg *nats.Msg) {
	t.Helper()
	if err := p.PublishMsg(msg); err != nil {
		t.Fatal(err)
	}
}

// ask sends a body and returns the first reply.
func (p *rawPeer) ask(t testing.TB, subject, body string) string {
	t.Helper()
	msg, err := p.Request(subject, []byte(body), soon)
	if err != nil {
		t.Fatalf("ask %s: %v", subject, err)
	}
	return string(msg.Data)
}

// caughtUp returns when everything that has arrived has been kept.
func (p *rawPeer) caughtUp(t testing.TB) {
	t.Helper()
	done := make(chan struct{})
	if err := p.Barrier(func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
}

// record is a line of testdata/wire/nats*.jsonl: a message, or what its sender
// observed.
type record struct {
	Scenario string              `json:"scenario"`
	Subject  string              `json:"subject"`
	Reply    string              `json:"reply"`
	Headers  map[string][]string `json:"headers"`
	Bytes    []byte              `json:"bytes"`
	Observed json.RawMessage     `json:"observed"`
}

// scenario is all lines of one scenario.
type scenario struct {
	name     string
	sent     []record
	replies  map[string][]string // by inbox
	observed []string            // compact JSON
}

// readScenarios reads what NestJS programs of a version sent. Lines end at \n only.
func readScenarios(t testing.TB, version testenv.Version) []*scenario {
	t.Helper()
	name := "nats.jsonl"
	if version != testenv.Nest12 {
		name = "nats_" + string(version) + ".jsonl"
	}
	file, err := os.Open(filepath.Join(testenv.Root(), "testdata", "wire", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []*scenario
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if n := len(all); n == 0 || all[n-1].name != r.Scenario {
			all = append(all, &scenario{name: r.Scenario, replies: map[string][]string{}})
		}
		all[len(all)-1].add(r)
	}
	if len(all) < 40 {
		t.Fatalf("%s: %d scenarios", name, len(all))
	}
	return all
}

func (s *scenario) add(r record) {
	switch {
	case r.Subject == "":
		var events []json.RawMessage
		if json.Unmarshal(r.Observed, &events) == nil {
			for _, e := range events {
				s.observed = append(s.observed, compact(e))
			}
		}
	case len(s.sent) > 0 && s.isInbox(r.Subject):
		s.replies[r.Subject] = append(s.replies[r.Subject], string(r.Bytes))
	default:
		s.sent = append(s.sent, r)
	}
}

func (s *scenario) isInbox(subject string) bool {
	for _, r := range s.sent {
		if r.Reply == subject {
			return true
		}
	}
	return false
}

func compact(text []byte) string {
	var out bytes.Buffer
	if json.Compact(&out, text) != nil {
		return string(text)
	}
	return out.String()
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, soon, what, ok)
}
