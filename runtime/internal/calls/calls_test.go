package calls

import (
	"context"
	"errors"
	"fmt"
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

func begin(t *testing.T, table *Table, req *micro.Request) *Call {
	t.Helper()
	c, err := table.Begin(req)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func deliver(t *testing.T, table *Table, id, body string) bool {
	t.Helper()
	p, err := wire.Parse([]byte(body))
	if err != nil {
		t.Error(err)
	}
	return table.Deliver([]byte(id), &p, []byte(body))
}

// TestAll: the answers of all come, also when the first is complete, until the
// deadline.
func TestAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table Table
		req := request(time.Minute)
		req.All = true
		c := begin(t, &table, req)
		for _, p := range []string{
			`{"response":1,"isDisposed":true}`, `{"err":"no","isDisposed":true}`, `{"response":2}`, `{"response":3,"isDisposed":true}`, `{"isDisposed":true}`,
		} {
			if !deliver(t, &table, c.ID, p) {
				t.Errorf("%s: nobody waits", p)
			}
		}
		var got []string
		err := c.Wait(t.Context(), collect(&got))
		if diff := cmp.Diff([]string{"1 true", "2 false", "3 true"}, got); diff != "" || !errors.Is(err, micro.ErrTimeout) {
			t.Errorf("error %v, -want +got\n%s", err, diff)
		}
		if table.Len() != 0 || deliver(t, &table, c.ID, `{"response":4}`) {
			t.Error("the call still waits")
		}
		c = begin(t, &table, &micro.Request{Pattern: micro.Name("x"), Deadline: time.Now().Add(time.Minute), All: true})
		deliver(t, &table, c.ID, `{"response":1,"isDisposed":true}`)
		enough := errors.New("enough")
		if err := c.Wait(t.Context(), micro.ReplyFunc(func(micro.Value) error { return enough })); !errors.Is(err, enough) || table.Len() != 0 {
			t.Errorf("error %v, %d calls wait", err, table.Len())
		}
	})
}

// collect is a Reply that keeps the values as text.
func collect(to *[]string) micro.Reply {
	return micro.ReplyFunc(func(v micro.Value) error {
		*to = append(*to, fmt.Sprintf("%s %v", string(v.Raw), v.Last))
		return nil
	})
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
			for _, p := range tt.packets {
				if !deliver(t, &table, c.ID, p) {
					t.Errorf("%s: nobody waits", p)
				}
			}
			var got []string
			err := c.Wait(t.Context(), collect(&got))
			var remote *micro.Error
			if tt.err != "" && (!errors.As(err, &remote) || remote.Message != tt.err) || tt.err == "" && err != nil {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.values, got); diff != "" {
				t.Error(diff)
			}
			if table.Len() != 0 {
				t.Error("the call is still there")
			}
		})
	}
}

func TestEnds(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		end  func(*Table, *Call, context.CancelCauseFunc)
		want error
	}{
		{"deadline", func(*Table, *Call, context.CancelCauseFunc) {}, micro.ErrTimeout},
		{"context", func(_ *Table, _ *Call, cancel context.CancelCauseFunc) { cancel(boom) }, boom},
		{"connection", func(t *Table, _ *Call, _ context.CancelCauseFunc) { t.FailAll(micro.ErrConnectionLost) }, micro.ErrConnectionLost},
		{"close", func(t *Table, _ *Call, _ context.CancelCauseFunc) { t.Close() }, micro.ErrClosed},
		{"chosen", func(t *Table, c *Call, _ context.CancelCauseFunc) {
			t.FailIf(func(req *micro.Request) bool { return req != c.req }, errors.New("another's"))
			t.FailIf(func(req *micro.Request) bool { return req == c.req }, boom)
		}, boom},
		{"alone", func(t *Table, c *Call, _ context.CancelCauseFunc) { t.Fail([]byte(c.ID), boom) }, boom},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var table Table
				c := begin(t, &table, request(time.Second))
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				go tt.end(&table, c, cancel)
				if err := c.Wait(ctx, collect(new([]string))); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if table.Len() != 0 {
					t.Error("the call is still there")
				}
			})
		})
	}
}

func TestBegin(t *testing.T) {
	var table Table
	if _, err := table.Begin(request(-time.Second)); !errors.Is(err, ErrTooLate) {
		t.Errorf("after its deadline: %v", err)
	}
	table.Close()
	if _, err := table.Begin(request(time.Second)); !errors.Is(err, micro.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestLate: who gave up may still hear of the answer, once.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table Table
		var told []micro.LateReply
		req := request(time.Second)
		req.Trace = &micro.Trace{Late: func(l micro.LateReply) { told = append(told, l) }}
		c := begin(t, &table, req)
		if err := c.Wait(t.Context(), collect(new([]string))); !errors.Is(err, micro.ErrTimeout) {
			t.Fatal(err)
		}
		<-time.After(3 * time.Second)
		for _, p := range []string{`{"response":1}`, `{"err":"no"}`, `{"err":"no"}`} {
			if deliver(t, &table, c.ID, p) {
				t.Errorf("%s: somebody waits", p)
			}
		}
		if len(told) != 1 || told[0].By != 3*time.Second || told[0].Err == nil {
			t.Errorf("told %v", told)
		}
	})
}

func TestMissedIsBounded(t *testing.T) {
	var m missed
	for i := range 3 * maxMissed {
		m.add(fmt.Sprint(i), &micro.Trace{})
	}
	if len(m.calls) != maxMissed || len(m.order) != maxMissed {
		t.Errorf("%d calls, %d in order", len(m.calls), len(m.order))
	}
	if _, ok := m.find([]byte(fmt.Sprint(3*maxMissed-1)), true); !ok {
		t.Error("the newest is not known")
	}
}

func TestSlowCaller(t *testing.T) {
	var table Table
	c := begin(t, &table, request(time.Minute))
	big := `{"response":"` + strings.Repeat("x", MaxWaiting/4) + `"}`
	for deliver(t, &table, c.ID, big) {
		continue
	}
	if err := c.Wait(t.Context(), collect(new([]string))); !errors.Is(err, errSlowCaller) {
		t.Errorf("%v", err)
	}
}

// TestMany: deliveries, losses and giving up at once.
func TestMany(t *testing.T) {
	var table Table
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				c, err := table.Begin(request(time.Minute))
				if err != nil {
					t.Error(err)
					return
				}
				switch i % 3 {
				case 0:
					go deliver(t, &table, c.ID, `{"response":1,"isDisposed":true}`)
				case 1:
					go table.FailAll(micro.ErrConnectionLost)
				default:
					c.GiveUp()
					continue
				}
				err = c.Wait(t.Context(), collect(new([]string)))
				if err != nil && !errors.Is(err, micro.ErrConnectionLost) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
