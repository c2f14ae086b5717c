package microredis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// published is a message on a channel.
type published struct{ channel, body string }

// scenario is the recording of one operation of a NestJS client.
type scenario struct {
	name     string
	requests []published // published by it or by a plain Redis client
	replies  []published // published by the server
	observed []string    // what the caller of the client observed
	runs     []string    // the calls of a NestJS server's handlers with globs
}

// readScenarios reads testdata/wire/redis*.jsonl.
func readScenarios(t *testing.T, version testenv.Version) (list []*scenario) {
	t.Helper()
	name := "redis.jsonl"
	if version != testenv.Nest12 {
		name = "redis_" + string(version) + ".jsonl"
	}
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "testdata", "wire", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.SplitSeq(bytes.TrimSpace(text), []byte("\n")) {
		var record struct {
			Scenario    string
			Command     []string
			Observed    json.RawMessage
			HandlerRuns []struct {
				Handler string
				Data    json.RawMessage
			}
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 || list[len(list)-1].name != record.Scenario {
			list = append(list, &scenario{name: record.Scenario})
		}
		s := list[len(list)-1]
		if len(record.Command) == 3 && record.Command[0] == "publish" {
			m := published{record.Command[1], record.Command[2]}
			if strings.HasSuffix(m.channel, replySuffix) {
				s.replies = append(s.replies, m)
			} else {
				s.requests = append(s.requests, m)
			}
		}
		var observed []json.RawMessage
		if json.Unmarshal(record.Observed, &observed) == nil {
			for _, o := range observed {
				s.observed = append(s.observed, compact(o))
			}
		}
		for _, run := range record.HandlerRuns {
			s.runs = append(s.runs, run.Handler+" "+compact(run.Data))
		}
	}
	return list
}

func compact(text []byte) string {
	var out bytes.Buffer
	if json.Compact(&out, text) != nil {
		return string(text)
	}
	return out.String()
}

// tap receives everything that is published.
type tap struct {
	*redis.Client
	sub *redis.PubSub
}

func tapInto(t testing.TB, url string) *tap {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := &tap{Client: redis.NewClient(options)}
	c.sub = c.PSubscribe(t.Context(), "*")
	t.Cleanup(func() {
		_ = c.sub.Close()
		_ = c.Close()
	})
	if _, err := c.sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *tap) publish(t testing.TB, m published) {
	t.Helper()
	if err := c.Publish(t.Context(), m.channel, m.body).Err(); err != nil {
		t.Fatal(err)
	}
}

// next returns the next message.
func (c *tap) next(t testing.TB) published {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	got, err := c.sub.ReceiveTimeout(ctx, soon)
	if err != nil {
		t.Fatalf("no further message: %v", err)
	}
	m, ok := got.(*redis.Message)
	if !ok {
		return c.next(t)
	}
	return published{m.Channel, m.Payload}
}

// replies returns the next n messages on reply channels.
func (c *tap) replies(t testing.TB, n int) (list []published) {
	t.Helper()
	for len(list) < n {
		if m := c.next(t); strings.HasSuffix(m.channel, replySuffix) {
			list = append(list, m)
		}
	}
	return list
}

func byID(a, b published) int {
	return strings.Compare(a.body[len(a.body)-24:], b.body[len(b.body)-24:])
}

// TestRecordedRequests publishes the recorded messages of NestJS clients and plain Redis
// clients to our server, and expects the replies of that version's NestJS server, byte for
// byte and on the same channels (docs/wire.md 5).
func TestRecordedRequests(t *testing.T) {
	for _, version := range testenv.Versions() {
		t.Run(string(version), func(t *testing.T) {
			broker := testenv.Redis(t)
			w := startTwin(t, broker.URL)
			see := tapInto(t, broker.URL)
			for _, s := range readScenarios(t, version) {
				if strings.HasPrefix(s.name, "wildcards") {
					continue
				}
				if strings.Contains(s.name, "eventCount") { // events are not answered, and are handled concurrently
					want := expectedReplies(s, version)[0].body
					eventually(t, "the events are handled", func() bool { return strings.Contains(want, w.countsJSON()) })
				}
				replay(t, see, s, expectedReplies(s, version))
			}
		})
	}
}

// expectedReplies returns the replies expected of our server in a scenario.
func expectedReplies(s *scenario, version testenv.Version) []published {
	want := slices.Clone(s.replies)
	for i := range want {
		if strings.HasPrefix(want[i].channel, "wire.ctx") && version != testenv.Nest12 {
			// Only NestJS 12 supports metadata; the twin always includes it.
			want[i].body = strings.Replace(want[i].body, `"RedisContext",`, `"RedisContext","metadata":null,`, 1)
		}
		if strings.Contains(s.name, "eventCount") && version == testenv.Nest10 {
			// NestJS 10 does not escape routes, so our server has no handler for that event
			// (docs/wire.md 10).
			want[i].body = strings.Replace(want[i].body, `"z-a-escape":1,`, "", 1)
		}
	}
	return want
}

// replay publishes the requests of a scenario and compares the replies.
func replay(t *testing.T, see *tap, s *scenario, want []published) {
	t.Helper()
	for _, m := range s.requests {
		see.publish(t, m)
	}
	got := see.replies(t, len(want))
	if len(s.requests) > 1 { // they are handled concurrently
		slices.SortFunc(want, byID)
		slices.SortFunc(got, byID)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(published{}), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-nest +msctl):\n%s", s.name, diff)
	}
}

// TestRecordedWildcards is TestRecordedRequests for globs. Unlike NestJS 10 and 11, and
// like NestJS 12, we send replies to the channel of the request. Our handlers do not run
// for replies.
func TestRecordedWildcards(t *testing.T) {
	for _, version := range testenv.Versions() {
		t.Run(string(version), func(t *testing.T) {
			broker := testenv.Redis(t)
			w := startTwin(t, broker.URL, WithWildcards())
			see := tapInto(t, broker.URL)
			var runs []string
			for _, s := range readScenarios(t, version) {
				runs = append(runs, s.runs...)
				if !strings.HasPrefix(s.name, "wildcards") {
					continue
				}
				want := slices.Clone(s.replies)
				for i := range want {
					want[i].channel = s.requests[0].channel + replySuffix
					if version != testenv.Nest12 {
						want[i].body = strings.Replace(want[i].body, `"RedisContext",`, `"RedisContext","metadata":null,`, 1)
					}
				}
				if s.name == `wildcards: send "wire.events"` {
					eventually(t, "the event is handled", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.events) == 1 })
				}
				replay(t, see, s, want)
			}
			runs = slices.DeleteFunc(runs, func(run string) bool { return strings.Contains(run, `"isDisposed"`) })
			w.mu.Lock()
			defer w.mu.Unlock()
			if diff := cmp.Diff(runs, w.runs); diff != "" {
				t.Errorf("handlers that ran, except for replies (-nest +msctl):\n%s", diff)
			}
		})
	}
}

// TestRecordedReplies repeats the operations of a NestJS client with our client, and
// answers as the NestJS server did. It expects the same bytes to be published, except for
// the ID and the metadata, and the caller to observe the same.
func TestRecordedReplies(t *testing.T) {
	for _, version := range testenv.Versions() {
		t.Run(string(version), func(t *testing.T) {
			broker := testenv.Redis(t)
			see := tapInto(t, broker.URL)
			c := client(t, broker.URL, WithoutReceiverCount()) // the tap is the only receiver
			for _, s := range readScenarios(t, version) {
				if version == testenv.Nest10 && strings.Contains(s.name, "escaped") {
					continue // NestJS 10 does not escape routes (docs/wire.md 10)
				}
				if len(s.requests) == 1 && len(s.observed) > 0 && !strings.HasPrefix(s.name, "raw") {
					ask(t, see, c, s)
				}
			}
		})
	}
}

// ask makes the call of a scenario.
func ask(t *testing.T, see *tap, c *micro.Client, s *scenario) {
	t.Helper()
	p, err := wire.Parse([]byte(s.requests[0].body))
	if err != nil {
		t.Fatal(err)
	}
	pattern, err := micro.ParsePattern(string(p.Pattern))
	if err != nil {
		t.Fatal(err)
	}
	req := &micro.Request{Pattern: pattern, Data: p.Data, Event: p.ID == nil}
	timedOut := !req.Event && (len(s.replies) == 0 || s.replies[0].channel != s.requests[0].channel+replySuffix || s.name == "client timeout then late response")
	ctx, giveUp := context.WithCancelCause(t.Context())
	defer giveUp(nil)
	observed := make(chan []string, 1)
	go func() { observed <- observe(ctx, c, req) }()
	got := see.next(t)
	if timedOut {
		giveUp(micro.ErrTimeout)
	}
	id := sentID(t, got.body)
	if diff := cmp.Diff(s.requests[0], withRecordedID(t, got, string(p.ID), string(p.Metadata)), cmp.AllowUnexported(published{})); diff != "" {
		t.Errorf("%s: published (-nest +msctl):\n%s", s.name, diff)
	}
	for _, m := range s.replies {
		if !timedOut {
			see.publish(t, published{m.channel, strings.Replace(m.body, string(p.ID), id, 1)})
			see.next(t)
		}
	}
	want := s.observed
	switch {
	case req.Event:
		want = []string{`{"next":"(undefined)"}`, `{"complete":true}`} // what the caller of emit observes
	case timedOut:
		want = []string{`{"error":{"name":"TimeoutError","message":"Timeout has occurred"}}`}
	}
	if diff := cmp.Diff(want, <-observed); diff != "" {
		t.Errorf("%s: observed (-nest +msctl):\n%s", s.name, diff)
	}
}

// sentID returns the ID of a packet as JSON.
func sentID(t *testing.T, body string) string {
	t.Helper()
	p, err := wire.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return string(p.ID)
}

// withRecordedID replaces the ID and the metadata of a packet that we have sent with
// recorded ones.
func withRecordedID(t *testing.T, m published, id, metadata string) published {
	t.Helper()
	p, err := wire.Parse([]byte(m.body))
	if err != nil {
		t.Fatal(err)
	}
	own := `,"metadata":` + string(p.Metadata)
	if metadata != "" {
		metadata = `,"metadata":` + metadata
	}
	m.body = strings.Replace(m.body, own, metadata, 1)
	if id != "" {
		m.body = strings.Replace(m.body, string(p.ID), id, 1)
	}
	return m
}

// observe makes a call and returns what its caller observes, in the recordings' format.
func observe(ctx context.Context, c *micro.Client, req *micro.Request) (list []string) {
	err := c.Do(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
		list = append(list, `{"next":`+compact(v.Raw)+`}`)
		return nil
	}))
	var remote *micro.Error
	switch {
	case err == nil && req.Event:
		return []string{`{"next":"(undefined)"}`, `{"complete":true}`}
	case err == nil:
		return append(list, `{"complete":true}`)
	case errors.As(err, &remote):
		return append(list, `{"error":`+string(remote.Payload)+`}`)
	case errors.Is(err, micro.ErrTimeout):
		return append(list, `{"error":{"name":"TimeoutError","message":"Timeout has occurred"}}`)
	}
	return append(list, err.Error())
}
