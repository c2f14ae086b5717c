package microredis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// TestPulse checks when a PING is sent on a connection, and when it counts as lost.
func TestPulse(t *testing.T) {
	const every, quiet, silent = 100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond
	tests := []struct {
		name  string
		beats string // h: data arrived; b: the reader is busy; -: nothing
		pings int
		lost  int // the beat at which the connection is lost; -1: never
	}{
		{"traffic", "hhhhhhhh", 0, -1},
		{"silence", "-----", 1, 4},
		{"the peer answers", "--h--h--h", 3, -1},
		{"the peer answers late", "----h----h", 2, -1},
		{"a busy reader", "--bbbbbb", 1, -1},
		{"the peer stops answering", "h--h-----", 2, 8},
	}
	for _, tt := range tests {
		w, pings, lost := newSocket(nil), 0, -1
		p := &pulse{wire: w, heard: w.heard.Load(), ping: func(context.Context) error { pings++; return nil }}
		for i, beat := range tt.beats {
			w.reading.Store(beat != 'b')
			if beat == 'h' {
				w.heard.Add(1)
			}
			if err := p.beat(every, quiet, silent); err != nil && lost < 0 {
				lost = i
			}
		}
		if pings != tt.pings || lost != tt.lost {
			t.Errorf("%s: %d pings, lost at %d, want %d and %d", tt.name, pings, lost, tt.pings, tt.lost)
		}
	}
}

// TestAppendPublish checks that the command is right for any estimate of its length.
func TestAppendPublish(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 99, 100, 101, 5000} {
		for _, guess := range []int{n, 0, 1, 10, 99, 100, 100000} {
			body := strings.Repeat("x", n)
			got, at := appendPublish([]byte("before"), "a\r\nb", guess, func(dst []byte) []byte { return append(dst, body...) })
			want := fmt.Sprintf("before*3\r\n$7\r\nPUBLISH\r\n$4\r\na\r\nb\r\n$%d\r\n%s\r\n", n, body)
			if string(got) != want || string(got[at:len(got)-2]) != body {
				t.Errorf("%d bytes, guessed %d: %.60q at %d", n, guess, got, at)
			}
		}
	}
}

// recorder is a receipt that records the outcome.
type recorder struct {
	name string
	to   *[]string
}

func (r recorder) published(receivers int64, err error) {
	*r.to = append(*r.to, fmt.Sprint(r.name, " ", receivers, " ", err))
}

// TestAnswered checks that Redis's replies are passed to the right receipts.
func TestAnswered(t *testing.T) {
	var got []string
	o := &outlet{sent: []message{{channel: "a", receipt: recorder{"a", &got}}, {channel: "b", receipt: recorder{"b", &got}}, {}, {}, {channel: "c", receipt: recorder{"c", &got}}}}
	for _, line := range []string{":2\r\n", "-NOPERM no\r\n", "+PONG\r\n", "-ERR of a PING\r\n"} {
		if err := o.answered([]byte(line)); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	o.end(errors.New("gone"))
	want := []string{"a 2 <nil>", "b 0 unreachable: refused: forbidden: publish on b: NOPERM no", "c 0 connection closed: gone"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := o.answered([]byte(":1\r\n")); err == nil {
		t.Error("an unexpected reply is not an error")
	}
}

func FuzzAnswered(f *testing.F) {
	for _, line := range []string{":1\r\n", "-ERR\r\n", "+PONG\r\n", "\r\n", "", ":", ":x\r\n", "$3\r\n", ":99999999999999999999\r\n"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var got []string
		o := &outlet{sent: []message{{receipt: recorder{"a", &got}}}}
		err := o.answered(line)
		if err == nil && len(got) != 1 || err != nil && len(got) != 0 {
			t.Errorf("%q: %v, outcomes %q", line, err, got)
		}
	})
}

// FuzzReceive checks that no published message makes a client or server panic.
func FuzzReceive(f *testing.F) {
	for _, body := range []string{``, `{}`, `{"data":1,"id":"a"}`, `{"response":1,"id":"a"}`, `{"id":""}`, `{"id":"`, "\xff", `{"id":"a","err":{}}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		c := Dial("redis://localhost")
		c.take(body)
		m := js.SanitizeUTF8(body)
		if p, err := wire.Parse(m); err == nil {
			isReply("items.a.reply", "items.*", &p)
		}
	})
}

// pipe returns a session on which a publisher publishes to the test.
func pipe(t *testing.T) (*session, *bufio.Reader, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	s := &session{link: &link{out: &publisher{}}, lost: make(chan struct{}), out: newSocket(ours)}
	s.outlet = &outlet{socket: s.out}
	s.readers.Add(1)
	go s.count()
	t.Cleanup(func() {
		s.fail(errors.New("the test is over"))
		_ = theirs.Close()
		s.readers.Wait()
	})
	return s, bufio.NewReader(theirs), theirs
}

func text(s string) (int, func([]byte) []byte) {
	return len(s), func(dst []byte) []byte { return append(dst, s...) }
}

// outcomes is a receipt that sends the outcome to a channel.
type outcomes chan string

func (c outcomes) published(receivers int64, err error) { c <- fmt.Sprint(receivers, " ", err) }

// TestPublisher checks that messages wait for a session and are sent in order, and that
// each receipt receives the outcome.
func TestPublisher(t *testing.T) {
	p := newPublisher(time.Minute)
	defer p.close()
	ends := make(outcomes, 10)
	for i := range 3 {
		size, build := text(fmt.Sprint("m", i))
		if err := p.add(t.Context(), message{channel: "c", receipt: ends}, size, build); err != nil {
			t.Fatal(err)
		}
	}
	s, in, out := pipe(t)
	p.attach(s)
	want := "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\nm0\r\n*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\nm1\r\n*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\nm2\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := io.WriteString(out, ":1\r\n:0\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	for _, want := range []string{"1 <nil>", "0 <nil>", "0 connection closed: EOF"} {
		if got := <-ends; got != want {
			t.Errorf("outcome %q, want %q", got, want)
		}
	}
}

// TestPartLost checks that a reply of which a value was lost stops, and ends with an
// error.
func TestPartLost(t *testing.T) {
	l := &Listener{server: quietServer(), out: newPublisher(time.Minute), goneAfter: time.Minute}
	defer l.out.close()
	a := &answer{listener: l, channel: "c.reply"}
	value := wire.Reply{ID: []byte(`"1"`), Response: []byte("1")}
	if err := a.Respond(t.Context(), value); err != nil {
		t.Fatal(err)
	}
	a.published(0, errors.New("lost"))
	if err := a.Respond(t.Context(), value); !errors.Is(err, errGone) {
		t.Errorf("another value: %v", err)
	}
	value.Disposed = true
	if err := a.Respond(t.Context(), value); err != nil {
		t.Errorf("the end: %v", err)
	}
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	if text := string(l.out.text); len(l.out.queue) != 2 || !strings.HasSuffix(text, `{"err":`+partLost+`,"isDisposed":true,"id":"1"}`+"\r\n") {
		t.Errorf("published: %q", text)
	}
}

// TestPublisherWithoutSession checks that without a session, messages fail if they may not
// wait, and are dropped if they have waited too long.
func TestPublisherWithoutSession(t *testing.T) {
	size, build := text("x")
	client := newPublisher(0)
	if err := client.add(t.Context(), message{channel: "c"}, size, build); !errors.Is(err, errUnsent) {
		t.Errorf("a client's message: %v", err)
	}
	client.close()
	if err := client.add(t.Context(), message{channel: "c"}, size, build); !errors.Is(err, micro.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	server := newPublisher(time.Nanosecond)
	defer server.close()
	ends := make(outcomes, 2)
	if err := server.add(t.Context(), message{channel: "c", receipt: ends}, size, build); err != nil {
		t.Errorf("a server's message: %v", err)
	}
	s, _, _ := pipe(t)
	server.attach(s)
	if got := <-ends; !strings.Contains(got, errStale.Error()) {
		t.Errorf("outcome %q", got)
	}
	server.attach(nil)
	big := bytes.Repeat([]byte("x"), highWater)
	for i := range 2 {
		err := server.add(t.Context(), message{channel: "c"}, len(big), func(dst []byte) []byte { return append(dst, big...) })
		if full := errors.Is(err, errFull); full != (i == 1) {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

// TestPublisherCrowded checks that add waits while too much data is pending, but not
// forever.
func TestPublisherCrowded(t *testing.T) {
	p := newPublisher(0)
	s, in, _ := pipe(t) // the other end does not read
	p.attach(s)
	big := bytes.Repeat([]byte("x"), highWater)
	add := func(ctx context.Context, m message) error {
		return p.add(ctx, m, len(big), func(dst []byte) []byte { return append(dst, big...) })
	}
	if err := add(t.Context(), message{channel: "c"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first message is being written", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.writing })
	if err := add(t.Context(), message{channel: "c"}); err != nil { // the first message is being written
		t.Fatal(err)
	}
	if err := add(t.Context(), message{channel: "c", expires: clock() + int64(20*time.Millisecond)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("until it expires: %v", err)
	}
	waits := make(chan error, 1)
	go func() { waits <- add(context.Background(), message{channel: "c"}) }()
	go func() { _, _ = io.Copy(io.Discard, in) }()
	select {
	case err := <-waits:
		if err != nil {
			t.Errorf("when there is room again: %v", err)
		}
	case <-time.After(soon):
		t.Error("add waits forever")
	}
	s.fail(errors.New("over"))
	p.attach(nil)
	p.close()
}
