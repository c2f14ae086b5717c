package micronats

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestQueueGroups: of servers in one group one gets each message, of others each
// does, and a handler may be in a group of its own.
func TestQueueGroups(t *testing.T) {
	b := testenv.NATS(t)
	var plain, grouped, own atomic.Int64
	count := func(n *atomic.Int64) func(context.Context, int) error {
		return func(context.Context, int) error { n.Add(1); return nil }
	}
	for _, options := range [][]ListenOption{nil, nil, {WithQueue("g")}, {WithQueue("g")}} {
		s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
		micro.HandleEvent(s, micro.Name("own"), count(&own), HandlerQueue("h"))
		if options == nil {
			micro.HandleEvent(s, note, count(&plain))
		} else {
			micro.HandleEvent(s, note, count(&grouped))
		}
		start(t, s, b.URL, options...)
	}
	c := client(t, b.URL)
	for range 100 {
		for _, p := range []micro.Pattern{note, micro.Name("own")} {
			if err := c.Emit(t.Context(), p, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "the events", func() bool { return plain.Load() == 200 && grouped.Load() == 100 && own.Load() == 100 })
}

// TestOverlap: overlapping subjects all run, each with the subject that was meant.
func TestOverlap(t *testing.T) {
	b := testenv.NATS(t)
	s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
	var mu sync.Mutex
	var got []string
	for _, pattern := range []string{"orders.created", "orders.*", "orders.>", ">", "*.created", "orders.*.eu"} {
		micro.HandleEvent(s, micro.Name(pattern), func(ctx context.Context, _ int) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, pattern+" "+DeliveryFromContext(ctx).Subject+" "+micro.RequestFromContext(ctx).Pattern.Route())
			return nil
		})
	}
	start(t, s, b.URL)
	if err := client(t, b.URL).Emit(t.Context(), micro.Name("orders.created"), 1); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, pattern := range []string{"*.created", ">", "orders.*", "orders.>", "orders.created"} {
		want = append(want, pattern+" orders.created "+pattern)
	}
	eventually(t, "all handlers", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) >= len(want) })
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMetadata: metadata travel in headers, what no header can carry in the packet,
// and NestJS 12's in the packet are read too; headers go before them.
func TestMetadata(t *testing.T) {
	b := testenv.NATS(t)
	s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
	micro.Handle(s, micro.Name("meta"), func(ctx context.Context, _ json.RawMessage) (map[string]string, error) {
		req := micro.RequestFromContext(ctx)
		all := map[string]string{}
		for k, v := range req.Metadata.All() {
			all[k] = v
		}
		if left := time.Until(req.Deadline); left <= 0 || left > soon {
			return nil, errors.New("the deadline is " + left.String())
		}
		delete(all, micro.MetaTimeout)
		return all, nil
	})
	start(t, s, b.URL)
	c := client(t, b.URL, WithHeaders(map[string]string{"always": "here", "twice": "default"}))
	req := &micro.Request{Pattern: micro.Name("meta"), Attempt: 2}
	want := map[string]string{
		micro.MetaCorrelationID: "c-1", micro.MetaTraceparent: "00-0123-01", "twice": "message", "lines": "a\nb", "a key": "of two words", " ": "x",
		"spaces": " x ", "unicode": "é😀", "": "empty", "Case": "Kept",
	}
	for k, v := range want {
		req.Metadata.Set(k, v)
	}
	want["always"], want[micro.MetaAttempt] = "here", "2"
	var got map[string]string
	err := c.Do(t.Context(), req, micro.ReplyFunc(func(v micro.Value) error { return json.Unmarshal(v.Raw, &got) }))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	p := dialRaw(t, b.URL)
	inbox := p.newInbox()
	p.send(t, &nats.Msg{Subject: "meta", Reply: inbox, Header: nats.Header{"both": {"header", "more"}, "timeout-ms": {"5000"}},
		Data: []byte(`{"data":1,"metadata":{"both":"packet","nest":"12","correlation-id":"theirs"},"id":"x"}`)})
	eventually(t, "the answer", func() bool { return len(p.came(inbox)) == 1 })
	for _, member := range []string{`"both":"header"`, `"nest":"12"`, `"correlation-id":"theirs"`} {
		if !strings.Contains(p.came(inbox)[0], member) {
			t.Errorf("no %s in %s", member, p.came(inbox)[0])
		}
	}
}

// TestTrace checks the hooks of a call, and that a late reply is reported.
func TestTrace(t *testing.T) {
	b := testenv.NATS(t)
	start(t, quietServer(), b.URL)
	c, conn := dial(t, b.URL)
	var mu sync.Mutex
	var told []string
	late := make(chan micro.LateReply, 1)
	tell := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, text)
	}
	trace := &micro.Trace{
		Connected: func(address string, _ time.Duration) { tell("connected to " + address) },
		Wrote:     func(_ time.Time, packet []byte) { tell("wrote " + string(packet[:34])) },
		Read:      func(_ time.Time, packet []byte) { tell("read " + string(packet[:30])) },
		Late:      func(l micro.LateReply) { late <- l },
	}
	nothing := micro.ReplyFunc(func(micro.Value) error { return nil })
	for range 2 {
		if err := c.Do(t.Context(), &micro.Request{Pattern: hold, Data: []byte("1"), Trace: trace}, nothing); err != nil {
			t.Fatal(err)
		}
	}
	pair := []string{`wrote {"pattern":{"cmd":"hold"},"data":1`, `read {"response":1,"isDisposed":tru`}
	want := append(append([]string{"connected to " + b.Addr}, pair...), pair...)
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	req := &micro.Request{Pattern: hold, Data: []byte("1000"), Trace: trace, Deadline: time.Now().Add(soon)}
	if err := conn.Exchange(ctx, req, nothing); !errors.Is(err, micro.ErrTimeout) {
		t.Fatal(err)
	}
	select {
	case l := <-late:
		if l.By <= 0 || l.Err != nil {
			t.Errorf("%+v", l)
		}
	case <-time.After(soon):
		t.Error("the late reply was not reported")
	}
}

// TestAll: the answers of all groups can be asked for, those of errors left out.
func TestAll(t *testing.T) {
	b := testenv.NATS(t)
	for _, name := range []string{"items", "items", "mail", "broken"} {
		s := micro.NewServer(micro.WithLogger(quietServer().Logger()), micro.WithName(name, ""))
		micro.Handle(s, micro.Name("who"), func(context.Context, int) (string, error) {
			if name == "broken" {
				return "", errors.New("broken")
			}
			return name, nil
		})
		start(t, s, b.URL, WithQueue(name))
	}
	c := client(t, b.URL)
	var got []string
	keep := micro.ReplyFunc(func(v micro.Value) error { got = append(got, string(v.Raw)); return nil })
	ask := func(name string, d time.Duration) error {
		return c.Do(t.Context(), &micro.Request{Pattern: micro.Name(name), Data: []byte("1"), Deadline: time.Now().Add(d), All: true}, keep)
	}
	if err := ask("who", 2*time.Second); !errors.Is(err, micro.ErrTimeout) {
		t.Error(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{`"items"`, `"mail"`}, got); diff != "" {
		t.Error(diff)
	}
	if err := ask("unserved", soon); !errors.Is(err, micro.ErrNotServed) {
		t.Errorf("no subscriber: %v", err)
	}
}

// TestForeignReplies: what comes to an inbox counts when it is for the call.
func TestForeignReplies(t *testing.T) {
	b := testenv.NATS(t)
	p := dialRaw(t, b.URL)
	var reply string
	if _, err := p.Subscribe("x", func(msg *nats.Msg) {
		for body := range strings.SplitSeq(reply, "|") {
			_ = msg.Respond([]byte(strings.ReplaceAll(body, "ID", idOf(msg.Data))))
		}
	}); err != nil {
		t.Fatal(err)
	}
	p.flush(t)
	c := client(t, b.URL)
	for _, tt := range []struct{ reply, want, err string }{
		{`{"response":1,"isDisposed":true,"id":"other"}|{"response":2,"isDisposed":true,"id":"ID"}`, "2", ""},
		{`{"response":1,"isDisposed":true,"id":7}|{"response":2,"isDisposed":true,"id":"ID"}`, "2", ""},
		{`{"response":1,"isDisposed":true,"id":null}`, "1", ""},
		{`{"response":1,"isDisposed":true,"id":""}`, "1", ""},
		{`{"response":1,"isDisposed":true}`, "1", ""},
		{`{"response":1,"more":true}`, `{"response":1,"more":true}`, ""},
		{`[1,2]`, "[1,2]", ""},
		{`"text"`, `"text"`, ""},
		{"\xEF\xBB\xBF" + `{"response":1,"isDisposed":true}`, "1", ""},
		{`hello`, "", "not JSON"},
		{"", "", "it is empty"},
		{`{"err":"no","id":"ID"}`, "", "no"},
	} {
		reply = tt.reply
		got, err := micro.Call[json.RawMessage](t.Context(), c, micro.Name("x"), 1)
		if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %s, %v", tt.reply, got, err)
		}
	}
}
