package observe

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap"
	reported "github.com/msctl/msctl/runtime/tap"
)

// bench is a table whose time the test sets.
type bench struct {
	*table
	t      *testing.T
	now    time.Time
	viewer *tap.Viewer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	hub := tap.NewHub(0)
	t.Cleanup(hub.Close)
	b := &bench{table: newTable(hub, time.Minute), t: t, now: time.Now()}
	b.viewer, _ = hub.View()
	return b
}

func (b *bench) send(body string, headers map[string]string) {
	p := parse([]byte(body))
	b.request(&sent{service: "items", transport: "nats", pattern: pattern(p.Pattern), id: p.ID, data: p.Data, metadata: metadataOf(p.Metadata, headers)},
		b.now, key{"inbox", idOf(&p)})
}

func (b *bench) answer(body string) {
	p := parse([]byte(body))
	b.reply(&p, b.now, func() *sent { return &sent{service: "items", transport: "nats", pattern: `"inbox"`, id: p.ID} }, key{"inbox", idOf(&p)})
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) {
	b.now = b.now.Add(d)
	b.sweep(b.now)
}

// lines returns what was reported since the last call, in short.
func (b *bench) lines() (list []string) {
	for {
		select {
		case m := <-b.viewer.C:
			list = append(list, b.line(&m))
		default:
			return list
		}
	}
}

func (b *bench) line(m *tap.Message) string {
	if m.Dropped > 0 {
		return fmt.Sprintf("dropped %d", m.Dropped)
	}
	text := fmt.Sprintf("%s %s %s %s (%d)", m.Pattern, m.ID, m.Outcome, time.Duration(m.Took), m.Values)
	if m.Open {
		text += " open"
	}
	if m.Record.Parent != "" {
		text += " child"
	}
	if m.Error != nil {
		text += " " + m.Error.Message
	}
	return text
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	if diff := cmp.Diff(lines, b.lines()); diff != "" {
		b.t.Error(diff)
	}
}

func TestReplies(t *testing.T) {
	b := newBench(t)
	b.send(`{"pattern":"a","data":1,"id":"1"}`, nil)
	b.pass(time.Millisecond)
	b.want()
	b.answer(`{"response":1,"isDisposed":true,"id":"1"}`)
	b.want(`"a" "1" ok 1ms (1)`)

	// A stream, and its end in a packet of its own.
	b.send(`{"pattern":"a","data":1,"id":"2"}`, nil)
	b.pass(40 * time.Second)
	b.answer(`{"response":1,"id":"2"}`)
	b.pass(40 * time.Second)
	b.answer(`{"response":2,"id":"2"}`)
	b.answer(`{"isDisposed":true,"id":"2"}`)
	b.want(`"a" "2"  40s (0) open`, `"a" "2" ok 1m20s (2)`)

	// No reply, and no end of one.
	b.send(`{"pattern":"b","data":1,"id":"3"}`, nil)
	b.send(`{"pattern":"c","data":1,"id":"4"}`, nil)
	b.answer(`{"response":1,"id":"4"}`)
	b.pass(time.Minute)
	b.want(`"b" "3" no reply 1m0s (0) no reply was seen`, `"c" "4" no reply 1m0s (1) the end of the reply was not seen`)

	// A reply that is too late, and another one to a request that has one, are records below the first.
	b.send(`{"pattern":"d","data":1,"id":"5"}`, map[string]string{"timeout-ms": "500"})
	b.pass(time.Second)
	b.answer(`{"response":1,"isDisposed":true,"id":"5"}`)
	b.send(`{"pattern":"e","data":1,"id":"6"}`, nil)
	for range 2 {
		b.answer(`{"response":1,"id":"6"}`)
		b.answer(`{"err":{"status":409,"message":"sold out"},"isDisposed":true,"id":"6"}`)
	}
	b.want(`"d" "5" timeout 1s (0) no reply was seen while the sender waited`, `"d" "5" ok 1s (1) child`,
		`"e" "6" error 0s (1) sold out`, `"e" "6" error 0s (1) child sold out`)

	// Replies to requests that were not seen.
	b.answer(`{"response":1,"isDisposed":true,"id":"7"}`)
	b.answer(`{"err":"no","id":"8"}`)
	b.want(`"inbox" "7" no request 0s (1) a reply to a request that was not seen`, `"inbox" "8" no request 0s (0) no`)

	// A request that is not shown has no replies to show either.
	b.request(&sent{pattern: `"msctl.health"`, hidden: true}, b.now, key{"inbox", `"9"`})
	b.answer(`{"response":1,"isDisposed":true,"id":"9"}`)
	b.answer(`{"response":1,"isDisposed":true,"id":"9"}`)
	b.request(&sent{pattern: `"msctl.health"`, hidden: true}, b.now, key{"inbox", `"10"`})
	b.pass(time.Hour)
	b.want()

	// The end of a connection.
	b.send(`{"pattern":"f","data":1,"id":"11"}`, nil)
	b.lose("other", reported.Abandoned, "gone", b.now)
	b.lose("inbox", reported.Abandoned, "gone", b.now)
	b.want(`"f" "11" abandoned 0s (0) gone`)
}

// TestBounds checks that requests without a reply are forgotten, and counted, rather than kept without
// a limit, by their number and by their size.
func TestBounds(t *testing.T) {
	small := `{"pattern":"a","data":1,"id":%d}`
	large := `{"pattern":"a","data":"` + strings.Repeat("x", 15<<10) + `","id":%d}`
	stream := `{"response":"` + strings.Repeat("x", 15<<10) + `","id":%d}`
	for name, c := range map[string]struct {
		body, reply string
		n           int
	}{"number": {small, "", maxOpen + 100}, "size": {large, "", 3000}, "replies": {small, stream, 3000}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for i := range c.n {
				b.send(fmt.Sprintf(c.body, i), nil)
				if c.reply != "" {
					b.answer(fmt.Sprintf(c.reply, i))
				}
			}
			if n := b.open.Len(); n > maxOpen || b.weight > maxWeight || n < 1000 || len(b.byKey) != n {
				t.Errorf("%d requests of %d bytes, %d keys", n, b.weight, len(b.byKey))
			}
			left := b.open.Len()
			b.sweep(b.now)
			b.want(fmt.Sprintf("dropped %d", c.n-left))
			b.answer(`{"response":1,"isDisposed":true,"id":0}`) // it is not one without a request
			b.sweep(b.now)
			b.want("dropped 1")
			b.pass(2 * time.Minute)
			if b.open.Len() > 0 || b.weight != 0 || b.ended.Len() > maxEnded || len(b.byKey) > maxEnded {
				t.Errorf("%d requests of %d bytes, %d ended, %d keys", b.open.Len(), b.weight, b.ended.Len(), len(b.byKey))
			}
		})
	}
}

// TestHostile checks that whatever a peer sends gives a record that can be written and read again.
func TestHostile(t *testing.T) {
	deep := strings.Repeat("[", 12_000) + strings.Repeat("]", 12_000)
	long := strings.Repeat("x", 1<<20)
	for _, body := range []string{
		"", "\x00", "\xff\xfe", "null", "true", "[]", "{}", `"text"`, `{"id":`, deep,
		`{"pattern":` + deep + `,"data":` + deep + `,"id":` + deep + `}`,
		`{"pattern":"` + long + `","data":"` + long + `","id":"` + long + `","metadata":{"a":"` + long + `"}}`,
		`{"pattern":1e999,"data":"` + "\xff\xed\xa0" + `","id":1e999}`, `{"pattern":"\ud83d","data":"\ud83d","id":"\ud83d"}`,
		`{"pattern":"a","data":1,"id":"1","metadata":{"timeout-ms":"99999999999999999999","attempt":"-1","traceparent":"x","msctl-tap":"x"}}`,
		`{"pattern":"a","data":1,"id":"1","metadata":[1]}`, `{"pattern":"a","data":1,"id":"1","metadata":{"a":{"password":"hunter2-seen"},"b":` + deep + `}}`,
		`{"err":` + deep + `,"id":1}`, `{"err":{"password":"hunter2-seen"},"id":1}`, `{"response":` + deep + `,"id":1}`,
	} {
		b := newBench(t)
		p := parse([]byte(body))
		s := &sent{service: long, transport: "nats", pattern: addressed("items.{\"a", p.Pattern), id: p.ID, data: dataOf(&p), metadata: metadataOf(p.Metadata, nil)}
		b.event(s, b.now)
		if text := addressed(string(valid([]byte(body))), p.Pattern); !json.Valid([]byte(text)) && len(body) < 10_000 {
			t.Errorf("%.40q: the pattern %.100s", body, text)
		}
		s.pattern = pattern(p.Pattern)
		b.request(s, b.now, key{"inbox", idOf(&p)})
		b.pass(time.Second)
		b.answer(body)
		b.pass(time.Hour)
		b.answer(body)
		b.answer(`{"response":1,"isDisposed":true,"id":"not seen"}`)
		var all []tap.Message
		for len(b.viewer.C) > 0 {
			all = append(all, <-b.viewer.C)
		}
		if len(all) < 3 {
			t.Errorf("%.40q: %d records", body, len(all))
		}
		for _, m := range all {
			text, err := json.Marshal(m)
			if err != nil {
				t.Errorf("%.40q: %v", body, err)
			}
			if again, err := tap.ParseMessage(text); err != nil || again.Span != m.Span || len(text) > 120<<10 || !json.Valid([]byte(again.Pattern)) && len(body) < 10_000 {
				t.Errorf("%.40q: a record of %d bytes, %v: %.100s", body, len(text), err, text)
			}
			if slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(string(text), s) }) {
				t.Errorf("a secret is in %s", text)
			}
		}
	}
}

// BenchmarkExchange measures a request and its reply, with 1 KB each.
func BenchmarkExchange(b *testing.B) {
	hub := tap.NewHub(0)
	defer hub.Close()
	t := newTable(hub, time.Minute)
	text := strings.Repeat("x", 1000)
	request, reply := []byte(`{"pattern":{"cmd":"a"},"data":{"name":"`+text+`"},"id":"1"}`), []byte(`{"response":{"name":"`+text+`"},"isDisposed":true,"id":"1"}`)
	for b.Loop() {
		now := time.Now()
		p := parse(request)
		t.request(&sent{service: "items", transport: "nats", pattern: addressed(`{"cmd":"a"}`, p.Pattern), id: p.ID, data: p.Data, metadata: metadataOf(p.Metadata, nil)},
			now, key{"inbox", idOf(&p)})
		p = parse(reply)
		t.reply(&p, now, nil, key{"inbox", idOf(&p)})
	}
}
