package calls

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func request(d time.Duration) *micro.Request {
	return &micro.Request{Pattern: micro.Name("x"), Deadline: time.Now().Add(d)}
}

func begin(t testing.TB, table *Table, req *micro.Request) *Call {
	t.Helper()
	c, err := table.Begin(req, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func deliver(t testing.TB, table *Table, id, body string) bool {
	t.Helper()
	p, err := wire.Parse([]byte(body))
	if err != nil {
		t.Error(err)
	}
	return table.Deliver([]byte(id), &p, []byte(body))
}

// wait waits for the call, and returns the values as text.
func wait(ctx context.Context, c *Call) (values []string, err error) {
	n, err := c.Wait(ctx, micro.ReplyFunc(func(v micro.Value) error {
		values = append(values, fmt.Sprintf("%s %v", string(v.Raw), v.Last))
		return nil
	}))
	if n != len(values) {
		err = fmt.Errorf("%d values are counted, not %d: %w", n, len(values), err)
	}
	return values, err
}

func TestWait(t *testing.T) {
	tests := []struct {
		name    string
		packets []string
		values  []string
		err     string
	}{
		{"one value", []string{`{"response":1,"isDisposed":true,"id":"a"}`}, []string{"1 true"}, ""},
		{"two and an end", []string{`{"response":1}`, `{"response":2}`, `{"isDisposed":true}`}, []string{"1 false", "2 false"}, ""},
		{"undefined", []string{`{"isDisposed":true}`}, nil, ""},
		{"an undefined value", []string{`{"id":"a"}`, `{"isDisposed":true}`}, []string{" false"}, ""},
		{"null", []string{`{"response":null,"isDisposed":true}`}, []string{"null true"}, ""},
		{"values, then an error", []string{`{"response":1}`, `{"err":"no","isDisposed":true}`}, []string{"1 false"}, "no"},
		{"foreign", []string{`{"response":1,"more":2}`}, []string{`{"response":1,"more":2} true`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var table Table
			c := begin(t, &table, request(time.Minute))
			id := string(c.ID())
			for _, p := range tt.packets {
				if !deliver(t, &table, id, p) {
					t.Errorf("%s: no call is waiting", p)
				}
			}
			got, err := wait(t.Context(), c)
			var remote *micro.Error
			if tt.err != "" && (!errors.As(err, &remote) || remote.Message != tt.err) || tt.err == "" && err != nil {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.values, got); diff != "" {
				t.Error(diff)
			}
			if table.Len() != 0 || deliver(t, &table, id, `{"response":2}`) {
				t.Error("the call is still pending")
			}
		})
	}
}

// TestAll checks that several complete replies arrive until the deadline, unless the
// transport has a single replier.
func TestAll(t *testing.T) {
	packets := []string{
		`{"response":1,"isDisposed":true}`, `{"err":"no","isDisposed":true}`, `{"response":2}`, `{"response":3,"isDisposed":true}`, `{"isDisposed":true}`,
	}
	tests := []struct {
		single bool
		values []string
		err    error
	}{
		{false, []string{"1 true", "2 false", "3 true"}, micro.ErrTimeout},
		{true, []string{"1 true"}, nil},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			table := Table{SingleReplier: tt.single}
			req := request(time.Minute)
			req.All = true
			c := begin(t, &table, req)
			id := string(c.ID())
			for _, p := range packets {
				deliver(t, &table, id, p)
			}
			got, err := wait(t.Context(), c)
			if diff := cmp.Diff(tt.values, got); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("single %v: error %v, -want +got\n%s", tt.single, err, diff)
			}
			if table.Len() != 0 || deliver(t, &table, id, `{"response":4}`) {
				t.Error("the call is still pending")
			}
		})
	}
}

// TestEnds lists the reasons for which a call ends without a complete reply.
func TestEnds(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		end  func(t *Table, c Ref, id string, cancel context.CancelCauseFunc)
		want error
	}{
		{"deadline", func(*Table, Ref, string, context.CancelCauseFunc) {}, micro.ErrTimeout},
		{"context", func(_ *Table, _ Ref, _ string, cancel context.CancelCauseFunc) { cancel(boom) }, boom},
		{"connection", func(t *Table, _ Ref, _ string, _ context.CancelCauseFunc) { t.FailAll(micro.ErrConnectionLost) }, micro.ErrConnectionLost},
		{"close", func(t *Table, _ Ref, _ string, _ context.CancelCauseFunc) {
			t.Close(micro.ErrClosed)
			t.Close(boom)
		}, micro.ErrClosed},
		{"chosen", func(t *Table, _ Ref, _ string, _ context.CancelCauseFunc) {
			t.FailIf(func(req *micro.Request) bool { return req.Pattern.Route() != "x" }, errors.New("another's"))
			t.FailIf(func(req *micro.Request) bool { return req.Pattern.Route() == "x" }, boom)
		}, boom},
		{"by ID", func(t *Table, _ Ref, id string, _ context.CancelCauseFunc) {
			t.Fail([]byte(strings.Repeat("0", idLen)), errors.New("another's"))
			t.Fail([]byte(id), boom)
		}, boom},
		{"by reference", func(_ *Table, c Ref, _ string, _ context.CancelCauseFunc) { c.Fail(boom) }, boom},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var table Table
				c := begin(t, &table, request(time.Second))
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				go tt.end(&table, c.Ref(), string(c.ID()), cancel)
				began := time.Now()
				if _, err := wait(ctx, c); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if took := time.Since(began); (took != 0) != (tt.name == "deadline") || took > time.Second {
					t.Errorf("the call took %v", took)
				}
				if table.Len() != 0 {
					t.Error("the call is still pending")
				}
			})
		})
	}
}

// TestReplyEnds checks that an error and a panic of the Reply end the call.
func TestReplyEnds(t *testing.T) {
	boom := errors.New("boom")
	for _, how := range []string{"error", "panic"} {
		var table Table
		c := begin(t, &table, request(time.Minute))
		id := string(c.ID())
		deliver(t, &table, id, `{"response":1}`)
		deliver(t, &table, id, `{"response":2}`)
		err := func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = p.(error)
				}
			}()
			_, err = c.Wait(t.Context(), micro.ReplyFunc(func(micro.Value) error {
				if how == "panic" {
					panic(boom)
				}
				return boom
			}))
			return err
		}()
		if !errors.Is(err, boom) || table.Len() != 0 {
			t.Errorf("%s: %v, %d calls are pending", how, err, table.Len())
		}
	}
}

// TestDeadlines begins calls in random order: each ends at its own deadline.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table Table
		var all sync.WaitGroup
		for _, n := range rand.Perm(200) {
			after := time.Duration(n+1) * time.Millisecond
			c := begin(t, &table, request(after))
			id := string(c.ID())
			all.Go(func() {
				began := time.Now()
				_, err := wait(t.Context(), c)
				answered := n%3 == 0
				if took := time.Since(began); answered != (err == nil) || !answered && (!errors.Is(err, micro.ErrTimeout) || took != after) {
					t.Errorf("after %v of %v: %v", took, after, err)
				}
			})
			if n%3 == 0 {
				deliver(t, &table, id, `{"response":1,"isDisposed":true}`)
			}
		}
		all.Wait()
		if len(table.deadlines.heap) != 0 {
			t.Errorf("%d deadlines are left", len(table.deadlines.heap))
		}
	})
}

func TestBegin(t *testing.T) {
	boom := errors.New("boom")
	var table Table
	if _, err := table.Begin(request(-time.Second), time.Now()); !errors.Is(err, ErrTooLate) {
		t.Errorf("after its deadline: %v", err)
	}
	if err := table.Refused(); err != nil {
		t.Errorf("before Drain: %v", err)
	}
	table.Drain(boom, func() {})
	if _, err := table.Begin(request(time.Second), time.Now()); !errors.Is(err, boom) || !errors.Is(table.Refused(), boom) {
		t.Errorf("after Drain: %v, %v", err, table.Refused())
	}
	table.Close(micro.ErrClosed)
	if _, err := table.Begin(request(time.Second), time.Now()); !errors.Is(err, micro.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	c := begin(t, new(Table), request(time.Minute))
	ref := c.Ref()
	c.Cancel()
	ref.Fail(boom)
}

// TestDrain checks that idle is called once, when the last call has ended, however it
// ends, and not for a table that is closed.
func TestDrain(t *testing.T) {
	ends := map[string]func(table *Table, c *Call, id string){
		"reply":  func(table *Table, _ *Call, id string) { deliver(t, table, id, `{"isDisposed":true}`) },
		"cancel": func(_ *Table, c *Call, _ string) { c.Cancel() },
		"fail":   func(table *Table, _ *Call, id string) { table.Fail([]byte(id), micro.ErrNotServed) },
		"loss":   func(table *Table, _ *Call, _ string) { table.FailAll(micro.ErrConnectionLost) },
		"wait": func(_ *Table, c *Call, _ string) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, _ = wait(ctx, c)
		},
	}
	for name, end := range ends {
		var table Table
		idle := 0
		first, second := begin(t, &table, request(time.Minute)), begin(t, &table, request(time.Minute))
		table.Drain(micro.ErrConnectionLost, func() { idle++ })
		first.Cancel()
		if idle != 0 {
			t.Errorf("%s: idle with a pending call", name)
		}
		end(&table, second, string(second.ID()))
		table.FailAll(micro.ErrClosed)
		if idle != 1 {
			t.Errorf("%s: idle was called %d times", name, idle)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var table Table
		idle := false
		c := begin(t, &table, request(time.Second))
		table.Drain(micro.ErrConnectionLost, func() { idle = true })
		_, err := wait(t.Context(), c)
		synctest.Wait() // for the timer's goroutine
		if !errors.Is(err, micro.ErrTimeout) || !idle {
			t.Errorf("after a timeout: %v, idle %v", err, idle)
		}
	})
	var table Table
	begin(t, &table, request(time.Minute))
	table.Drain(micro.ErrConnectionLost, func() { t.Error("a closed table became idle") })
	table.Close(micro.ErrClosed)
	table.Drain(micro.ErrConnectionLost, func() { t.Error("a closed table became idle") })
}

// TestLate checks that a trace learns of a late reply, once.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table Table
		var late []micro.LateReply
		req := request(time.Second)
		req.Trace = &micro.Trace{Late: func(l micro.LateReply) { late = append(late, l) }}
		c := begin(t, &table, req)
		id := string(c.ID())
		if _, err := wait(t.Context(), c); !errors.Is(err, micro.ErrTimeout) {
			t.Fatal(err)
		}
		<-time.After(3 * time.Second)
		deliver(t, &table, strings.Repeat("0", idLen), `{"response":1,"isDisposed":true}`)
		for _, p := range []string{`{"response":1}`, `{"err":"no"}`, `{"err":"no"}`} {
			if deliver(t, &table, id, p) {
				t.Errorf("%s: a call is waiting", p)
			}
		}
		if len(late) != 1 || late[0].By != 3*time.Second || late[0].Err == nil {
			t.Errorf("reported %v", late)
		}
	})
}

// TestLateIsBounded checks that calls that were given up are not remembered forever.
func TestLateIsBounded(t *testing.T) {
	var l lateCalls
	for n := range uint64(3 * maxLate) {
		l.add(n, &micro.Trace{})
	}
	if len(l.calls) != maxLate || len(l.order) != maxLate {
		t.Errorf("%d calls, %d in order", len(l.calls), len(l.order))
	}
	if _, ok := l.find(3*maxLate-1, true); !ok {
		t.Error("the most recent call is not known")
	}
}

func TestSlowCaller(t *testing.T) {
	var table Table
	c := begin(t, &table, request(time.Minute))
	id := string(c.ID())
	big := `{"response":"` + strings.Repeat("x", maxUnread/4) + `"}`
	for table.Len() > 0 {
		deliver(t, &table, id, big)
	}
	if _, err := wait(t.Context(), c); !errors.Is(err, ErrSlowCaller) {
		t.Errorf("%v", err)
	}
}

func TestTrace(t *testing.T) {
	var table Table
	var read []string
	for range 2 { // the second call reuses the first one
		req := request(time.Minute)
		req.Trace = &micro.Trace{Read: func(at time.Time, packet []byte) {
			if time.Since(at) > time.Minute {
				t.Errorf("read at %v", at)
			}
			read = append(read, string(packet))
		}}
		c := begin(t, &table, req)
		deliver(t, &table, string(c.ID()), `{"response":1}`)
		deliver(t, &table, string(c.ID()), `{"isDisposed":true}`)
		if _, err := wait(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{`{"response":1}`, `{"isDisposed":true}`, `{"response":1}`, `{"isDisposed":true}`}, read); diff != "" {
		t.Error(diff)
	}
}

func TestIDs(t *testing.T) {
	var s ids
	for _, n := range []uint64{1, 15, 1 << 35, 1<<36 - 1, 1 << 36, 1<<64 - 1} {
		s.next()
		text := s.appendJSON(nil, n)
		id := text[1 : len(text)-1]
		if got, ok := s.number(id); !ok || got != n || n < 1<<36 != (len(id) == idLen) {
			t.Errorf("%d is %s, read as %d, %v", n, text, got, ok)
		}
	}
	prefix := string(s.prefix[:])
	for _, id := range []string{
		"", prefix, prefix + "00000000", prefix + "0000000001", prefix + "00000000G", prefix + "00000000A", prefix + strings.Repeat("1", 17),
		strings.Repeat("x", idLen),
	} {
		if n, ok := s.number([]byte(id)); ok {
			t.Errorf("%s is read as %d", id, n)
		}
	}
	var fresh ids
	if _, ok := fresh.number(make([]byte, idLen)); ok {
		t.Error("a table without calls has one")
	}
}

// TestReuse runs replies, losses, cancellations, and timeouts against each other. Calls
// are reused, so each reply must reach the call that it belongs to, and no other.
func TestReuse(t *testing.T) {
	var table Table
	var all, delivering sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				limit := time.Minute
				if i%5 == 4 {
					limit = time.Duration(rand.IntN(100)) * time.Microsecond
				}
				c, err := table.Begin(request(limit), time.Now())
				if err != nil {
					if !errors.Is(err, ErrTooLate) {
						t.Error(err)
					}
					continue
				}
				id := string(c.ID())
				switch i % 5 {
				case 0, 1, 4:
					delivering.Go(func() { deliver(t, &table, id, `{"response":"`+id+`","isDisposed":true}`) })
				case 2:
					delivering.Go(func() { table.FailAll(micro.ErrConnectionLost) })
				case 3:
					c.Cancel()
					continue
				}
				values, err := wait(t.Context(), c)
				switch {
				case err == nil && (len(values) != 1 || values[0] != `"`+id+`" true`):
					t.Errorf("call %s got %s", id, values)
				case err != nil && !errors.Is(err, micro.ErrConnectionLost) && !errors.Is(err, micro.ErrTimeout):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	delivering.Wait()
}

// BenchmarkCall measures the bookkeeping of one call, without a transport.
func BenchmarkCall(b *testing.B) {
	body := []byte(`{"response":"0123456789","isDisposed":true}`)
	p, err := wire.Parse(body)
	if err != nil {
		b.Fatal(err)
	}
	discard := micro.ReplyFunc(func(micro.Value) error { return nil })
	var table Table
	req := request(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		c := begin(b, &table, req)
		table.Deliver(c.ID(), &p, body)
		if _, err := c.Wait(context.Background(), discard); err != nil {
			b.Fatal(err)
		}
	}
}

// TestArrivedInTime: values that have arrived before the deadline are delivered, even if the
// caller is as late to take them.
func TestArrivedInTime(t *testing.T) {
	past, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for range 50 { // whether the value or the deadline is noticed first is a matter of chance
		var table Table
		c := begin(t, &table, request(time.Minute))
		deliver(t, &table, string(c.ID()), `{"response":1}`)
		got, err := wait(past, c)
		if diff := cmp.Diff([]string{"1 false"}, got); diff != "" || !errors.Is(err, micro.ErrTimeout) || table.Len() != 0 {
			t.Fatalf("%v, %d pending\n%s", err, table.Len(), diff)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	var table Table
	if _, err := wait(canceled, begin(t, &table, request(time.Minute))); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
