package micronats

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestRecordedRequests sends our server every message that a NestJS client sent,
// and bodies that none would, and wants the very bytes that the NestJS server of
// that version answered.
func TestRecordedRequests(t *testing.T) {
	for _, version := range testenv.Versions() {
		t.Run(string(version), func(t *testing.T) {
			b := testenv.NATS(t)
			w := newTwin()
			start(t, w.Server, b.URL)
			p := dialRaw(t, b.URL)
			for _, s := range readScenarios(t, version) {
				inboxes := map[string]string{} // ours by the recorded
				for _, r := range s.sent {
					msg := &nats.Msg{Subject: r.Subject, Header: r.Headers, Data: r.Bytes}
					if r.Reply != "" {
						msg.Reply = p.newInbox()
						inboxes[r.Reply] = msg.Reply
					}
					p.send(t, msg)
				}
				want := s.replies
				if strings.Contains(s.name, "eventCount") && version == testenv.Nest10 {
					want = withoutEscape(want)
				}
				got := awaitReplies(t, w, p, inboxes, want)
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s (-nest +msctl):\n%s", s.name, diff)
				}
			}
		})
	}
}

// withoutEscape takes the event out of a count that NestJS 10 sends to a subject
// that later versions do not know (docs/wire.md 10).
func withoutEscape(replies map[string][]string) map[string][]string {
	out := maps.Clone(replies)
	for inbox, bodies := range out {
		out[inbox] = []string{strings.Replace(bodies[0], `"z-a-escape":1,`, "", 1)}
	}
	return out
}

// awaitReplies returns what came to the inboxes when the twin has settled.
func awaitReplies(t *testing.T, w *twin, p *rawPeer, inboxes map[string]string, want map[string][]string) map[string][]string {
	t.Helper()
	for inbox, bodies := range want {
		eventually(t, "the answer", func() bool { return len(p.came(inboxes[inbox])) >= len(bodies) })
	}
	w.settled(t, p)
	got := map[string][]string{}
	for recorded, inbox := range inboxes {
		if bodies := p.came(inbox); bodies != nil {
			got[recorded] = bodies
		}
	}
	return got
}

// TestRecordedCalls makes every call that was recorded of a NestJS client with
// ours, answers it as the NestJS server did, and wants the same bytes sent and the
// same things observed.
func TestRecordedCalls(t *testing.T) {
	for _, version := range testenv.Versions() {
		t.Run(string(version), func(t *testing.T) {
			b := testenv.NATS(t)
			p := dialRaw(t, b.URL)
			for _, s := range readScenarios(t, version) {
				if replayable(s) {
					t.Run(s.name, func(t *testing.T) { replay(t, b.URL, p, s, version) })
				}
			}
		})
	}
}

// replayable omits records without a ClientProxy, records with a clock, and
// metadata: NestJS's is in the packet, ours in headers.
func replayable(s *scenario) bool {
	return len(s.sent) == 1 && !strings.HasPrefix(s.name, "raw:") && !strings.Contains(s.name, "metadata") &&
		!strings.Contains(s.name, "timeout")
}

func replay(t *testing.T, url string, p *rawPeer, s *scenario, version testenv.Version) {
	t.Helper()
	want := s.sent[0]
	answered := make(chan *nats.Msg, 1)
	sub, err := p.Subscribe(want.Subject, func(msg *nats.Msg) {
		for _, body := range s.replies[want.Reply] {
			_ = p.Publish(msg.Reply, []byte(strings.ReplaceAll(body, idOf(want.Bytes), idOf(msg.Data))))
		}
		answered <- msg
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	p.flush(t)
	var options []DialOption
	metadata := want.Headers
	if s.name == "client options headers + inboxPrefix" {
		options = []DialOption{WithHeaders(map[string]string{"X-Def": "d"}), WithInboxPrefix("MYINBOX")}
		metadata = nil
	}
	observed := observe(t, client(t, url, options...), want, metadata)
	if strings.HasPrefix(s.name, "emit") || strings.Contains(s.name, ": emit") || strings.Contains(s.name, "(event)") {
		observed = s.observed // an event has no reply
	}
	if diff := cmp.Diff(s.observed, observed); diff != "" {
		t.Errorf("observed (-nest +msctl):\n%s", diff)
	}
	if version == testenv.Nest10 && strings.Contains(s.name, "escaped") {
		return // it was sent to another subject: docs/wire.md 10
	}
	sent := <-answered
	compareSent(t, want, sent)
}

func idOf(body []byte) string {
	var p struct{ ID string }
	if json.Unmarshal(body, &p) != nil || p.ID == "" {
		return "no id"
	}
	return p.ID
}

// observe makes the recorded call and returns what its caller observes, as records do.
func observe(t *testing.T, c *micro.Client, r record, metadata map[string][]string) (observed []string) {
	t.Helper()
	var packet struct{ Pattern, Data, ID json.RawMessage }
	if err := json.Unmarshal(r.Bytes, &packet); err != nil {
		t.Fatal(err)
	}
	req := &micro.Request{Pattern: must(micro.ParsePattern(string(packet.Pattern))), Data: packet.Data, Event: packet.ID == nil}
	for k, v := range metadata {
		req.Metadata.Set(k, v[0])
	}
	err := c.Do(t.Context(), req, micro.ReplyFunc(func(v micro.Value) error {
		observed = append(observed, `{"next":`+string(v.Raw)+`}`)
		return nil
	}))
	var remote *micro.Error
	switch {
	case err == nil:
		return append(observed, `{"complete":true}`)
	case errors.As(err, &remote):
		return append(observed, `{"error":`+string(remote.Payload)+`}`)
	}
	t.Fatal(err)
	return nil
}

func compareSent(t *testing.T, want record, sent *nats.Msg) {
	t.Helper()
	if sent.Subject != want.Subject {
		t.Errorf("subject %q, want %q", sent.Subject, want.Subject)
	}
	body := strings.ReplaceAll(string(sent.Data), idOf(sent.Data), idOf(want.Bytes))
	if diff := cmp.Diff(string(want.Bytes), body); diff != "" {
		t.Errorf("packet (-nest +msctl):\n%s", diff)
	}
	prefix, _, _ := strings.Cut(want.Reply, ".")
	if got, _, _ := strings.Cut(sent.Reply, "."); got != prefix {
		t.Errorf("the answer is wanted at %q, want %q", sent.Reply, want.Reply)
	}
	for k, v := range want.Headers {
		if len(sent.Header[k]) == 0 || sent.Header[k][0] != v[0] {
			t.Errorf("header %s is %q, want %q", k, sent.Header[k], v)
		}
	}
}

// TestNotServed checks that the broker reports a subject without a subscriber.
func TestNotServed(t *testing.T) {
	b := testenv.NATS(t)
	start(t, newTwin().Server, b.URL)
	c := client(t, b.URL)
	for _, name := range []string{"unserved", "orders", "orders.a.b", "logs"} {
		_, err := micro.Call[int](t.Context(), c, micro.Name(name), 1)
		if !errors.Is(err, micro.ErrNotServed) || !errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Emit(t.Context(), micro.Name("unserved"), 1); err != nil {
		t.Errorf("an event without a subscriber: %v", err)
	}
}

// TestBadSubjects: what no NATS subject can be is refused before it is sent, and
// costs the connection nothing.
func TestBadSubjects(t *testing.T) {
	b := testenv.NATS(t)
	start(t, quietServer(), b.URL)
	c := client(t, b.URL)
	for _, p := range []micro.Pattern{
		micro.Name("echo two"), micro.Cmd("has space"), micro.Name("a..b"), micro.Name(".a"), micro.Name("a."),
		micro.Name("a\nb"), micro.Name("tab\tb"), micro.Name(strings.Repeat("x", 5000)), micro.Name(""),
	} {
		_, err := micro.Call[int](t.Context(), c, p, 1)
		if err == nil || !strings.Contains(err.Error(), "cannot be a NATS subject") || errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("call %.20s: %v", p, err)
		}
		if err := c.Emit(t.Context(), p, 1); err == nil {
			t.Errorf("emit %.20s: no error", p)
		}
	}
	if _, err := micro.Call[string](t.Context(), c, echo, "still there"); err != nil {
		t.Error(err)
	}
}

// TestUnreachableHandlers checks that a handler that no subject can name is skipped and
// reported, and that the others are served.
func TestUnreachableHandlers(t *testing.T) {
	b := testenv.NATS(t)
	var log testenv.Log
	s := quietServer(micro.WithLogger(log.Logger()))
	micro.Handle(s, micro.Name("echo two"), func(context.Context, int) (int, error) { return 2, nil })
	start(t, s, b.URL)
	if _, err := micro.Call[string](t.Context(), client(t, b.URL), echo, "x"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "the handler is unreachable over NATS") || !strings.Contains(log.String(), "echo two") {
		t.Error(log.String())
	}
}
