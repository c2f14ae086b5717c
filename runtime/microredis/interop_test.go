package microredis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// outcome is the outcome of one body: the replies, and the data of the event handlers'
// calls.
type outcome struct{ Replies, Events []string }

// channels are those of a request handler, an event handler, and an unreachable handler.
func channels() []string { return []string{"echo", "user_created", "true"} }

// bodies are messages of all kinds, valid and invalid.
func bodies() []string {
	return []string{
		``, ` `, `{`, `{}`, `[]`, `[1]`, `null`, `true`, `0`, `42`, `"str"`, `""`, `hello`, `{bad`, `{'a':1}`, `NaN`, `{}{}`, `{"a":1,}`, "\uFEFF1", "a\x00b", "\xff\xfe", "a\xed\xa0\xbdb",
		`{"foo":1}`, `{"id":"z"}`, `{"foo":1,"id":"z"}`, `{"response":1,"isDisposed":true,"id":"z"}`, `{"err":"no","id":"z"}`,
		`{"data":1}`, `{"data":1,"id":"z"}`, `{"data":null,"id":"z"}`, `{"pattern":"echo","id":"z"}`, `{"pattern":"zzz","data":1,"id":"z"}`, `{"pattern":null,"data":1,"id":"z"}`,
		`{"data":1,"id":null}`, `{"data":1,"id":0}`, `{"data":1,"id":""}`, `{"data":1,"id":false}`, `{"data":1,"id":1.0}`, `{"data":1,"id":12345678901234567890}`, `{"data":1,"id":{"a":[1]}}`, `{"data":1,"id":[]}`, `{"data":1,"id":"\u0041\ud83d"}`,
		` {"data" : {"a" : 1} , "id":"z" } `, `{"data":1,"data":2,"id":"z"}`, `{"data":"é😀","id":"z"}`, "{\"data\":\"a\xffb\",\"id\":\"z\"}", `{"data":{"__proto__":1},"id":"z"}`,
		`{"data":1,"metadata":7,"id":"z"}`, `{"data":1,"metadata":{"a":"b"},"id":"z"}`, `{"data":1,"err":1,"response":2,"id":"z"}`,
	}
}

// TestBodiesAsNest publishes bodies of every kind on every kind of channel to a NestJS 12
// server and to ours, and expects the same outcome, except for whitespace (docs/wire.md
// 1.6, 3.4, and 5).
func TestBodiesAsNest(t *testing.T) {
	nest := outcomesOfNest(t)
	ours := outcomesOfOurs(t, nest)
	for i, body := range bodies() {
		for j, channel := range channels() {
			if diff := cmp.Diff(nest[i][j], ours[i][j], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%q on %s (-nest +msctl):\n%s", body, channel, diff)
			}
		}
	}
}

// probe publishes body on a channel, followed by marked requests, whose replies show that
// everything before them has been handled.
func probe(t *testing.T, see *tap, channel, body, mark string, atLeast int) (replies []string) {
	t.Helper()
	see.publish(t, published{channel, body})
	for len(replies) < atLeast {
		m := see.replies(t, 1)[0]
		replies = append(replies, m.channel+" "+compact([]byte(m.body)))
	}
	for i := range 3 { // one after another, so that replies sent one turn of the event loop later arrive as well
		end := fmt.Sprint(mark, "-", i)
		see.publish(t, published{"echo", `{"data":1,"id":"` + end + `"}`})
		for {
			m := see.replies(t, 1)[0]
			if strings.Contains(m.body, `"`+end+`"`) {
				break
			}
			replies = append(replies, m.channel+" "+compact([]byte(m.body)))
		}
	}
	return replies
}

func outcomesOfNest(t *testing.T) (all [][3]outcome) {
	t.Helper()
	broker := testenv.PrivateRedis(t)
	server := testenv.Nest(t, testenv.Nest12, "--transport", "redis", "--url", broker.URL, "--verbose")
	see := tapInto(t, broker.URL)
	eventually(t, "NestJS has subscribed, for which its listen does not wait", func() bool {
		counts, err := see.PubSubNumSub(t.Context(), channels()...).Result()
		return err == nil && !slices.ContainsFunc(channels(), func(channel string) bool { return counts[channel] == 0 })
	})
	for i, body := range bodies() {
		var o [3]outcome
		for j, channel := range channels() {
			o[j].Replies = probe(t, see, channel, body, fmt.Sprint("mark", i, "-", j), 0)
		}
		all = append(all, o)
	}
	// One more event, which arrives after all others.
	see.publish(t, published{"user_created", `"the end"`})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, h := range eventData(t, ctx, server) {
		all[i][1].Events = append(all[i][1].Events, h)
	}
	return all
}

// eventData returns the data of the event handler's calls by the index of the body. Each
// body must have caused exactly one call.
func eventData(t *testing.T, ctx context.Context, server *testenv.NestServer) (data []string) {
	t.Helper()
	handled, err := server.AwaitHandled(ctx, `"user_created"`, len(bodies())+1)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range handled {
		data = append(data, string(h.Data))
	}
	if n := len(bodies()); len(data) != n+1 || data[n] != `"the end"` {
		t.Fatalf("the event handler ran %d times for %d bodies", len(data)-1, n)
	}
	return data[:len(data)-1]
}

func outcomesOfOurs(t *testing.T, nest [][3]outcome) (all [][3]outcome) {
	t.Helper()
	broker := testenv.PrivateRedis(t)
	s := quietServer()
	var mu sync.Mutex
	var events []string
	micro.HandleFunc(s, micro.Name("echo"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: req.Data, Last: true})
	})
	micro.HandleEvent(s, micro.Name("user_created"), func(_ context.Context, data json.RawMessage) error {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, compact(data))
		return nil
	})
	micro.Handle(s, micro.Name("true"), func(context.Context, micro.None) (int, error) { return 1, nil })
	start(t, s, Listen(broker.URL))
	see := tapInto(t, broker.URL)
	for i, body := range bodies() {
		var o [3]outcome
		for j, channel := range channels() {
			o[j].Replies = probe(t, see, channel, body, fmt.Sprint("mark", i, "-", j), len(nest[i][j].Replies))
		}
		eventually(t, "the event is handled", func() bool { mu.Lock(); defer mu.Unlock(); return len(events) > 0 })
		mu.Lock()
		o[1].Events, events = slices.Clone(events), nil
		mu.Unlock()
		all = append(all, o)
	}
	return all
}
