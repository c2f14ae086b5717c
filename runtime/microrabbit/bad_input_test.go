package microrabbit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// badBodies returns bodies that no client sends: invalid JSON, values that are not
// packets, and unusual packets.
func badBodies() []string {
	return []string{
		// invalid JSON
		"", " ", "hello", "{", `{"a":`, `{'pattern':'echo'}`, "NaN", "undefined", "[1,]", "{} {}", `{"data":1,}`, "\x00", "\xff\xfe", `"open`, "01",
		`{"pattern":"echo","data":"a` + "\n" + `b","id":"x"}`, "\xEF\xBB\xBF" + `{"pattern":"echo","data":1,"id":"x"}`,
		// not packets (docs/wire.md 1.6)
		"null", "0", `""`, "false", "42", `"str"`, "true", "[]", "[1]", "{}", `{"id":"x"}`, `{"foo":1}`, `{"foo":1,"id":"x"}`, `{"id":null}`,
		// unusual packets
		`{"data":1,"id":"x"}`, `{"pattern":"zzz","data":1,"id":"x"}`, `{"pattern":null,"data":1,"id":"x"}`, `{"pattern":true,"data":1,"id":"x"}`,
		`{"pattern":"echo","data":null,"id":"x"}`, `{"pattern":{},"data":2,"id":"x"}`, `{"pattern":"__proto__","data":1,"id":"x"}`,
		`{"pattern":"echo","data":1,"id":null}`, `{"pattern":"echo","data":1,"id":0}`, `{"pattern":"echo","data":1,"id":""}`,
		`{"pattern":"echo","data":1,"id":{"a":[1]}}`, `{"pattern":"unserved","data":1,"id":12345678901234567890}`, `{"pattern":"unserved","data":1,"id":1.0}`,
		`{"pattern":"echo","data":1,"data":2,"id":"x","id":"y"}`, ` { "pattern" : "echo" , "data" : 1 , "id" : "x" } `,
		`{"pattern":"echo","more":1,"data":1,"id":"x"}`, `{"pattern":"\"echo\"","data":1,"id":"x"}`, `{"pattern":"{\"cmd\":\"echo\"}","data":1,"id":"x"}`,
		`{"pattern":"echo","data":"` + "\xff" + `","id":"x"}`, `{"pattern":"echo","data":"\ud83d","id":"x"}`, `{"pattern":"echo","data":1}`, `{"pattern":"echo"}`,
		`{"pattern":` + strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000) + `,"data":1,"id":"x"}`,
		`{"pattern":"echo","data":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `,"id":"x"}`,
		`{"response":1,"isDisposed":true,"id":"x"}`, `{"err":"no","data":1,"id":"x"}`, `{"pattern":"echo","metadata":5,"data":1,"id":"x"}`,
	}
}

// echoes returns a server that also handles the string pattern echo, as the NestJS server
// does.
func echoes() *micro.Server {
	s := quietServer()
	micro.HandleFunc(s, micro.Name("echo"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: req.Data, Last: true})
	})
	return s
}

// repliesTo sends a body and returns the replies to it: at least atLeast, and those that
// arrive before the reply to an echo request that follows.
func repliesTo(p *peer, queue, replyTo string, answers <-chan amqp.Delivery, body string, atLeast int) (list []string) {
	p.t.Helper()
	p.publish("", queue, amqp.Publishing{ReplyTo: replyTo, CorrelationId: "c", Body: []byte(body)})
	for len(list) < atLeast {
		list = append(list, string(take(p.t, body, answers).Body))
	}
	p.publish("", queue, amqp.Publishing{ReplyTo: replyTo, CorrelationId: "after", Body: []byte(`{"pattern":"echo","data":"after","id":"after"}`)})
	for {
		d := take(p.t, body, answers)
		if d.CorrelationId == "after" {
			return list
		}
		list = append(list, string(d.Body))
	}
}

// TestBodiesAsNestJS sends the same bodies to a NestJS 12 server and to ours, and expects
// the same replies.
func TestBodiesAsNestJS(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	b := broker(t)
	theirs, ours := unique(t, "nest"), unique(t, "msctl")
	testenv.Nest(t, testenv.Nest12, "--transport", "rmq", "--url", b.URL, "--queue", theirs)
	start(t, echoes(), Listen(b.URL, ours))
	p := dialPeer(t, b.URL)
	replyTo := p.queue("", nil)
	answers := p.consume(replyTo)
	for _, body := range badBodies() {
		want := repliesTo(p, theirs, replyTo, answers, body, 0)
		got := repliesTo(p, ours, replyTo, answers, body, len(want))
		for i := range got { // passing data through keeps its bytes, while JavaScript reencodes it (docs/wire.md 12)
			got[i] = strings.ReplaceAll(got[i], "\xff", "\uFFFD")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.80q (-nest +msctl):\n%s", body, diff)
		}
	}
}

// TestManyBadBodies checks that 5,000 bad bodies do not affect the server. MSCTL_TEST_ALL makes them 100,000.
func TestManyBadBodies(t *testing.T) {
	b := broker(t)
	count := 2_500
	if os.Getenv("MSCTL_TEST_ALL") != "" {
		count = 50_000
	}
	for _, noAck := range []bool{true, false} {
		t.Run(fmt.Sprint("noAck ", noAck), func(t *testing.T) {
			q := unique(t, "bad")
			start(t, echoes(), Listen(b.URL, q, WithAck(ackMode(noAck))))
			c := dial(t, b.URL, q)
			if _, err := micro.Call[string](t.Context(), c, echo, "before"); err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			goroutines := runtime.NumGoroutine()
			p := dialPeer(t, b.URL)
			bodies := slices.DeleteFunc(badBodies(), func(s string) bool { return len(s) > 1000 })
			for i := range count {
				p.publish("", q, amqp.Publishing{ReplyTo: "unserved", Body: []byte(bodies[i%len(bodies)])})
			}
			testenv.Eventually(t, 5*time.Minute, "the queue is empty", func() bool { return p.depth(q) == 0 })
			if got, err := micro.Call[string](t.Context(), c, echo, "after"); err != nil || got != "after" {
				t.Errorf("%q, %v", got, err)
			}
			eventually(t, "the extra goroutines end", func() bool { return runtime.NumGoroutine() < goroutines+600 })
		})
	}
}

// TestRecordedAcks checks that messages are settled as by NestJS (docs/wire.md 4.3),
// except for those that NestJS leaves unacknowledged, and events whose handler failed.
func TestRecordedAcks(t *testing.T) {
	f, err := os.Open(filepath.Join(testenv.Root(), "testdata", "wire", "rmq_ack.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := broker(t)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r struct {
			Mode, Note, Body string
			DeadLettered     []struct{ Body, Reason string }
			Replies          []string
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if r.Body == "" || r.Mode == "noAck:false, handler does not ack" {
			continue
		}
		noAck := strings.HasPrefix(r.Mode, "noAck:true")
		if r.Note == "event handler throws" && !noAck {
			continue // we redeliver it
		}
		t.Run(r.Mode+", "+r.Note, func(t *testing.T) {
			s := echoes()
			micro.HandleEvent(s, micro.Name("user_created"), func(context.Context, int) error { return nil })
			micro.HandleEvent(s, micro.Name("evt_throws"), func(context.Context, int) error { return fmt.Errorf("event handler failed") })
			micro.Handle(s, micro.Cmd("error"), func(context.Context, int) (int, error) { return 0, fmt.Errorf("plain error") })
			p := dialPeer(t, b.URL)
			dead := p.queue(unique(t, "dead"), nil)
			q := unique(t, "acks")
			start(t, s, Listen(b.URL, q, WithAck(ackMode(noAck)), WithTopology(Topology{Queue: QueueOptions{DeadLetterExchange: "", Arguments: map[string]any{
				"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead,
			}}})))
			replyTo := p.queue("", nil)
			got := repliesTo(p, q, replyTo, p.consume(replyTo), r.Body, len(r.Replies))
			if diff := cmp.Diff(r.Replies, append([]string{}, got...)); diff != "" {
				t.Errorf("replies (-nest +msctl):\n%s", diff)
			}
			eventually(t, "the dead letters have arrived", func() bool { return p.depth(dead) == len(r.DeadLettered) })
			for _, want := range r.DeadLettered {
				d, _, err := p.ch.Get(dead, true)
				if err != nil || string(d.Body) != want.Body || d.Headers["x-first-death-reason"] != want.Reason {
					t.Errorf("%s %v, want %v", d.Body, d.Headers, want)
				}
			}
			if n := p.depth(q); n != 0 {
				t.Errorf("%d messages are left in the queue", n)
			}
		})
	}
}
