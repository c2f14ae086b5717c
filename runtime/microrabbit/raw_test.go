package microrabbit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

var recordRaw = flag.Bool("record", false, "record the messages without a pattern with the installed versions of NestJS")

// rawRecord is a line of rmq_raw*.jsonl: a message, and what the handler
// @EventPattern(undefined) received. Data is missing if it was undefined.
type rawRecord struct {
	Nest    string          `json:"nest"`
	Body    string          `json:"body"`
	Handled bool            `json:"handled"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// rawBodies returns bodies without a pattern, and others that their handler must not get.
func rawBodies() []string {
	return []string{
		`{"sensor":4}`, "plain text", "[1,2]", "7", "", "null", "0", "false", "true", `""`, `"text"`, "[]", "{}", " ", "{", "0x1", "ünï 😀", "\xff\xfe",
		`{"id":"x"}`, `{"id":"x","sensor":4}`, `{"response":1,"isDisposed":true,"id":"x"}`, `{"data":1}`, `{"data":null}`, `{"data":{"a":1},"more":2}`,
		`{"metadata":{"a":"b"}}`, `{"pattern":null,"data":1}`, `{"pattern":"","data":1}`, `{"pattern":"undefined","data":1}`, `{"pattern":"unserved","data":1}`,
	}
}

const afterAll = `{"pattern":"user_created","data":"after"}`

func rawFile(v testenv.Version) string {
	suffix := ""
	if v != testenv.Nest12 {
		suffix = "_" + string(v)
	}
	return filepath.Join(testenv.Root(), "testdata", "wire", "rmq_raw"+suffix+".jsonl")
}

// handledByNest sends a body to a NestJS service, and returns what its handler received.
func handledByNest(t *testing.T, p *peer, nest *testenv.NestServer, queue, body string) rawRecord {
	t.Helper()
	before := len(nest.Handled())
	p.send(queue, body)
	p.send(queue, afterAll)
	var all []testenv.Handled
	eventually(t, "the event that follows "+body, func() bool {
		all = nest.Handled()[before:]
		return len(all) > 0 && string(all[len(all)-1].Pattern) == `"user_created"`
	})
	r := rawRecord{Body: body, Handled: len(all) > 1}
	if r.Handled {
		r.Data = all[0].Data
	}
	return r
}

// TestRecordRaw sends messages without a pattern to real NestJS services, and compares what
// @EventPattern(undefined) receives with the recording, or, with -record, records it. By
// default, only NestJS 12 runs (testenv.LiveVersions).
func TestRecordRaw(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	for _, v := range testenv.LiveVersions() {
		t.Run(string(v), func(t *testing.T) {
			testenv.NeedNest(t, v)
			q := unique(t, "raw")
			nest := testenv.Nest(t, v, "--transport", "rmq", "--url", b.URL, "--queue", q, "--without-pattern", "--verbose")
			var got []rawRecord
			for _, body := range rawBodies() {
				r := handledByNest(t, p, nest, q, body)
				r.Nest, r.Body = map[testenv.Version]string{testenv.Nest12: "12.1.1", testenv.Nest11: "11.2.6", testenv.Nest10: "10.4.22"}[v], encodeBody(body)
				got = append(got, r)
			}
			if *recordRaw {
				writeRaw(t, rawFile(v), got)
				return
			}
			if diff := cmp.Diff(readRaw(t, rawFile(v)), got); diff != "" {
				t.Errorf("(-recorded +live):\n%s", diff)
			}
		})
	}
}

// encodeBody returns a body as text: bytes that are not UTF-8 are escaped as \xNN.
func encodeBody(body string) string {
	return strings.NewReplacer("\xff", `\xff`, "\xfe", `\xfe`).Replace(body)
}

func decodeBody(text string) string {
	return strings.NewReplacer(`\xff`, "\xff", `\xfe`, "\xfe").Replace(text)
}

func writeRaw(t *testing.T, file string, records []rawRecord) {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	for _, r := range records {
		if err := encoder.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readRaw(t *testing.T, file string) (records []rawRecord) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r rawRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// TestRawAsNestJS checks that HandleRaw receives what NestJS's @EventPattern(undefined)
// receives, in all recorded versions, whether the message comes from another program or
// from EmitRaw.
func TestRawAsNestJS(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	type arrived struct {
		raw  bool
		data string
		body string
	}
	got := make(chan arrived, 1)
	for _, mode := range []AckMode{AckOnReceipt, AckAfterHandling} {
		for _, wildcards := range []bool{false, true} {
			q := unique(t, "raw")
			s := quietServer()
			micro.HandleRaw(s, func(ctx context.Context, in json.RawMessage) error {
				got <- arrived{true, string(in), string(DeliveryFromContext(ctx).Body)}
				return nil
			})
			micro.HandleEvent(s, micro.Name("user_created"), func(context.Context, string) error { got <- arrived{}; return nil })
			if wildcards {
				micro.HandleEvent(s, micro.Name("#"), func(context.Context, json.RawMessage) error { return nil })
			}
			start(t, s, Listen(b.URL, q, WithAck(mode), WithPrefetch(1, false), WithTopology(Topology{Wildcards: wildcards})))
			c := dial(t, b.URL, q)
			for _, v := range testenv.Versions() {
				for i, r := range readRaw(t, rawFile(v)) {
					body := decodeBody(r.Body)
					if i%2 == 0 {
						p.send(q, body)
					} else if err := c.EmitRaw(t.Context(), micro.Pattern{}, []byte(body)); err != nil {
						t.Fatal(err)
					}
					if r.Handled {
						a := take(t, body, got)
						if !a.raw || a.body != body || !sameJSON(a.data, string(r.Data)) {
							t.Errorf("NestJS %s, %q: %+v, want %s", r.Nest, body, a, r.Data)
						}
					}
					p.send(q, afterAll)
					if a := take(t, "after "+body, got); a.raw {
						t.Errorf("NestJS %s, %q: %+v, although NestJS does not handle it", r.Nest, body, a)
					}
				}
			}
		}
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && cmp.Equal(x, y)
}

// TestRawIsNotLost checks that a message without a pattern is logged with its data if there
// is no handler, that it reaches the dead letters as it was, and that HandleUnknown gets it.
func TestRawIsNotLost(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := unique(t, "lost")
	dead := q + ".dead"
	p.deleteLater(dead)
	log := &testenv.Log{}
	start(t, quietServer(micro.WithLogger(slog.New(slog.NewTextHandler(log, nil)))), Listen(b.URL, q, WithTopology(Topology{DeadLetter: dead})))
	p.send(q, `{"sensor":4}`)
	p.send(q, "plain text")
	letters := p.consume(dead)
	var bodies []string
	for range 2 {
		bodies = append(bodies, string(take(t, "a dead letter", letters).Body))
	}
	slices.Sort(bodies)
	if diff := cmp.Diff([]string{"plain text", `{"sensor":4}`}, bodies); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if text := log.String(); !strings.Contains(text, "sensor") || !strings.Contains(text, "plain text") {
		t.Errorf("the log does not have the data: %s", text)
	}

	other := unique(t, "unknown")
	seen := make(chan string, 1)
	s := quietServer()
	micro.HandleUnknown(s, func(_ context.Context, req *micro.Request, _ micro.Reply) error {
		seen <- req.Pattern.String() + " " + string(req.Data)
		return nil
	})
	start(t, s, Listen(b.URL, other))
	p.publish("", other, amqp.Publishing{Body: []byte(`{"sensor":4}`)})
	if got := take(t, "the message", seen); got != `(no pattern) {"sensor":4}` {
		t.Errorf("HandleUnknown got %s", got)
	}
}

// TestRawRedelivery checks that a message without a pattern is redelivered like any event.
func TestRawRedelivery(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := unique(t, "again")
	deleteRetryQueues(t, b.URL, q, 5)
	s := quietServer()
	seen := make(chan string, 2)
	micro.HandleRaw(s, func(ctx context.Context, _ map[string]int) error {
		d := DeliveryFromContext(ctx)
		seen <- string(d.Body)
		if d.Attempt == 1 {
			return errors.New("once")
		}
		return nil
	})
	start(t, s, Listen(b.URL, q, WithRedelivery(Redelivery{Attempts: 3, Delay: 5 * time.Millisecond, Factor: 1})))
	p.send(q, `{"sensor":4}`)
	for range 2 {
		if got := take(t, "an attempt", seen); got != `{"sensor":4}` {
			t.Error(got)
		}
	}
}
