package sse

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is the other end of a response. Its methods other than those of http.ResponseWriter are
// for the test.
type client struct {
	header http.Header
	room   chan struct{} // closed for a client that reads; a nil channel blocks

	mu       sync.Mutex
	text     strings.Builder
	status   int
	deadline time.Time
	changed  chan struct{}
}

func newClient(reads bool) *client {
	c := &client{header: http.Header{}, changed: make(chan struct{})}
	if reads {
		c.room = make(chan struct{})
		close(c.room)
	}
	return c
}

func (c *client) Header() http.Header    { return c.header }
func (c *client) WriteHeader(status int) { c.status = status }
func (c *client) Flush()                 {}

func (c *client) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

var errDeadline = errors.New("deadline exceeded")

func (c *client) Write(b []byte) (int, error) {
	for {
		c.mu.Lock()
		deadline, changed := c.deadline, c.changed
		c.mu.Unlock()
		if !time.Now().Before(deadline) {
			return 0, errDeadline
		}
		select {
		case <-c.room:
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.text.Write(b)
		case <-changed:
		case <-time.After(time.Until(deadline)):
		}
	}
}

// sent returns what the client has received since the last call.
func (c *client) sent() string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.text.Reset()
	return c.text.String()
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(true)
		s := Open(c, Config{Heartbeat: 15 * time.Second, Buffer: 1000, Failed: func(err error) { t.Error(err) }})
		want := func(text string) {
			t.Helper()
			if got := c.sent(); got != text {
				t.Errorf("%v: %q, want %q", time.Now(), got, text)
			}
		}
		want("")
		<-time.After(time.Second)
		want(":\n\n")
		if c.status != 200 || c.header.Get("Content-Type") != "text/event-stream" || c.header.Get("X-Accel-Buffering") != "no" || c.header.Get("Cache-Control") != "no-store, no-transform" {
			t.Errorf("%d %v", c.status, c.header)
		}
		<-time.After(14 * time.Second)
		if err := s.Send(Event{ID: "1", Data: []byte(`{"a":1}`)}); err != nil {
			t.Error(err)
		}
		want("id: 1\ndata: {\"a\":1}\n\n")
		<-time.After(14 * time.Second)
		want("")
		<-time.After(time.Second)
		want(":\n\n")
		long := strings.Repeat("x", 200<<10) // more than one piece, and than the buffer
		if err := s.Send(Event{ID: "a\nb\rc\x00d", Name: "e\n", Data: []byte("{\n\"a\":\r\n\"" + long + "\"}")}); err != nil {
			t.Error(err)
		}
		want("id: a b c d\nevent: e \ndata: { \"a\":  \"" + long + "\"}\n\n")
		if !s.Close(Event{Name: "end", Data: []byte("{}")}, false) || s.Close(Event{}, true) != true {
			t.Error("nothing has been sent")
		}
		want("event: end\ndata: {}\n\n")
	})
}

// TestCloseAtOnce checks what is sent if there was no event.
func TestCloseAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		event, always, begun bool
		want                 string
	}{
		"an error can have a status": {false, false, false, ""},
		"no event":                   {false, true, true, "event: last\ndata: {}\n\n"},
		"an event that waits":        {true, false, true, "data: 1\n\nevent: last\ndata: {}\n\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(true)
			s := Open(c, Config{Heartbeat: time.Second, Buffer: 1000, Failed: func(err error) { t.Error(err) }})
			if tt.event {
				if err := s.Send(Event{Data: []byte("1")}); err != nil {
					t.Error(err)
				}
			}
			if got := s.Close(Event{Name: "last", Data: []byte("{}")}, tt.always); got != tt.begun {
				t.Errorf("%s: begun is %v", name, got)
			}
			if got := c.sent(); got != tt.want {
				t.Errorf("%s: %q, want %q", name, got, tt.want)
			}
		})
	}
}

// TestClientThatNeverReads checks that such a client costs no more than its buffer and the time of
// a heartbeat.
func TestClientThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		failed := make(chan error, 1)
		s := Open(newClient(false), Config{Heartbeat: 15 * time.Second, Buffer: 1000, Failed: func(err error) { failed <- err }})
		if err := s.Send(Event{Data: []byte("1")}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		var err error
		n := 0
		for ; err == nil && n < 100; n++ {
			err = s.Send(Event{Data: []byte(strings.Repeat("x", 92))}) // 100 bytes
		}
		if !errors.Is(err, ErrSlow) || n != 11 {
			t.Errorf("%v after %d events", err, n)
		}
		if err := <-failed; err == nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		s.Close(Event{}, false)
	})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		failed := make(chan error, 1)
		s := Open(newClient(false), Config{Heartbeat: 15 * time.Second, Buffer: 1000, Failed: func(err error) { failed <- err }})
		if err := <-failed; !errors.Is(err, errDeadline) || time.Since(start) != 16*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := s.Send(Event{Data: []byte("1")}); !errors.Is(err, errDeadline) {
			t.Error(err)
		}
		s.Close(Event{}, false)
	})
}

// TestBudget: while more waits for all clients than the budget, those for which the most waits are
// disconnected, and nothing stays counted.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(1000)
		open := func(reads bool) *Stream {
			return Open(newClient(reads), Config{Heartbeat: time.Minute, Buffer: 1 << 20, Budget: budget, Failed: func(error) {}})
		}
		event := Event{Data: []byte(strings.Repeat("x", 92))} // 100 bytes
		send := func(s *Stream, events int) (err error) {
			for range events {
				err = s.Send(event)
				synctest.Wait()
			}
			return err
		}
		deaf, idle, good := open(false), open(false), open(true)
		if err := errors.Join(send(deaf, 7), send(idle, 3), send(good, 20)); err != nil {
			t.Errorf("within the budget: %v", err)
		}
		if err := send(deaf, 1); !errors.Is(err, ErrSlow) {
			t.Errorf("the client for which the most waits: %v", err)
		}
		if err := errors.Join(send(idle, 1), send(good, 20)); err != nil {
			t.Errorf("the others: %v", err)
		}
		if n := budget.waiting.Load(); n != 400 {
			t.Errorf("%d bytes wait, want the 400 of the idle client", n)
		}
		for _, s := range []*Stream{deaf, idle, good} {
			s.fail(errors.New("the test is over"))
			_ = s.control.SetWriteDeadline(time.Now())
			s.Close(Event{}, false)
		}
		if waiting, streams := budget.waiting.Load(), budget.streams.Load(); waiting != 0 || streams != 0 {
			t.Errorf("%d bytes and %d streams are left", waiting, streams)
		}
	})
}

func TestEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ended, failed := newClient(true), make(chan struct{}), make(chan error, 1)
		s := Open(c, Config{Heartbeat: time.Second, Buffer: 1000, Ended: ended, Failed: func(err error) { failed <- err }})
		close(ended)
		if err := <-failed; !errors.Is(err, ErrEnded) {
			t.Error(err)
		}
		if !s.Close(Event{}, true) || c.sent() != "" {
			t.Error("the header has not been sent")
		}
	})
}

// broken is a client whose connection cannot be written to.
type broken struct{ *client }

func (broken) Write([]byte) (int, error) { panic("broken") }

// TestPanic checks that a panic of the ResponseWriter ends the stream, and not the process.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 1)
		s := Open(broken{newClient(true)}, Config{Heartbeat: time.Second, Buffer: 1000, Failed: func(err error) { failed <- err }})
		if err := <-failed; !strings.Contains(err.Error(), "panic: broken") {
			t.Error(err)
		}
		if err := s.Send(Event{Data: []byte("1")}); err == nil {
			t.Error("the stream accepts events")
		}
		s.Close(Event{}, true)
	})
}
