package micronats

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/test/testenv"
)

// notJSON are bodies that no server can read.
func notJSON() []string {
	return []string{
		"", " ", "hello", "{", `{"a":`, `{'pattern':'echo'}`, "NaN", "undefined", "[1,]", "{} {}", `{"data":1,}`, `{"data":1,"id":"x"`,
		"\x00", "\xff\xfe", `"open`, "01", `{"data":"a` + "\n" + `b","id":"x"}`,
	}
}

// foreign are bodies that are JSON and no packets: events, whatever else they hold
// (docs/wire.md 1.6).
func foreign() []string {
	return []string{"null", "0", `""`, "false", "42", `"str"`, "true", "[]", "[1]", "{}", `{"id":"x"}`, `{"foo":1}`, `{"foo":1,"id":"x"}`, `{"id":null}`}
}

// odd are packets that no client sends.
func odd() []string {
	return []string{
		`{"data":1,"id":"x"}`, `{"pattern":"zzz","data":1,"id":"x"}`, `{"pattern":null,"data":1,"id":"x"}`, `{"pattern":true,"data":1,"id":"x"}`,
		`{"pattern":"echo","id":"x"}`, `{"pattern":"echo","data":null,"id":"x"}`, `{"pattern":{},"data":2,"id":"x"}`, `{"pattern":"__proto__","data":1,"id":"x"}`,
		`{"data":1,"id":null}`, `{"data":1,"id":0}`, `{"data":1,"id":""}`, `{"data":1,"id":false}`, `{"data":1,"id":{"a":[1]}}`, `{"data":1,"id":[]}`,
		`{"data":1,"id":1.0}`, `{"data":1,"id":12345678901234567890}`, `{"data":1,"id":"é😀"}`, `{"data":1,"id":"\u00e9"}`,
		`{"data":1,"data":2,"id":"x","id":"y"}`, ` { "data" : 1 , "id" : "x" } `, `{"more":1,"data":1,"id":"x"}`, "\xEF\xBB\xBF" + `{"data":1,"id":"x"}`,
		`{"data":"` + "\xff" + `","id":"x"}`, `{"data":"` + "\xED\xA0\xBD" + `","id":"x"}`, `{"data":"\ud83d","id":"x"}`, `{"data":1}`, `{"pattern":"echo"}`,
		`{"pattern":` + strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000) + `,"data":1,"id":"x"}`,
		`{"data":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `,"id":"x"}`,
		`{"response":1,"isDisposed":true,"id":"x"}`, `{"err":"no","data":1,"id":"x"}`, `{"metadata":5,"data":1,"id":"x"}`, `{"metadata":{"a":{}},"data":1,"id":"x"}`,
		`{"data":1,"id":"x","pattern":"echo","constructor":1,"toString":2}`,
	}
}

// TestBodiesAsNestJS sends a NestJS 12 server and ours the same bodies, and wants
// the same answers, or none.
func TestBodiesAsNestJS(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	theirs, ours := testenv.PrivateNATS(t), testenv.PrivateNATS(t)
	testenv.Nest(t, testenv.Nest12, "--transport", "nats", "--url", theirs.URL)
	w := newTwin()
	start(t, w.Server, ours.URL)
	nest, msctl := dialRaw(t, theirs.URL), dialRaw(t, ours.URL)
	nestSettled := func() { // quick handlers of NestJS answer in order
		for range 2 {
			nest.ask(t, "echo", `{"data":1,"id":"after"}`)
		}
		nest.caughtUp(t)
	}
	msctlSettled := func() { w.settled(t, msctl) }
	for _, subject := range []string{"echo", "true"} {
		for _, body := range append(append(notJSON(), foreign()...), odd()...) {
			want, got := nest.answers(t, subject, body, nestSettled), msctl.answers(t, subject, body, msctlSettled)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %.100q (-nest +msctl):\n%s", subject, body, diff)
			}
		}
	}
}

// answers returns what comes back for a body until the server has settled.
func (p *rawPeer) answers(t *testing.T, subject, body string, settled func()) []string {
	t.Helper()
	inbox := p.newInbox()
	p.send(t, &nats.Msg{Subject: subject, Reply: inbox, Data: []byte(body)})
	settled()
	return p.came(inbox)
}

// TestManyBadBodies: 100,000 of them cost the server nothing but the time.
func TestManyBadBodies(t *testing.T) {
	b := testenv.NATS(t)
	w := newTwin()
	start(t, w.Server, b.URL)
	p := dialRaw(t, b.URL)
	bad := append(notJSON(), foreign()...)
	inbox := p.newInbox()
	for i := range 100_000 {
		p.send(t, &nats.Msg{Subject: "echo", Reply: inbox, Data: []byte(bad[i%len(bad)])})
		if i%1000 == 999 {
			w.settled(t, p) // no faster than they are handled
		}
	}
	w.settled(t, p)
	if got := p.came(inbox); got != nil {
		t.Errorf("%d answers, the first %s", len(got), got[0])
	}
}
