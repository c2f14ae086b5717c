// Package sse sends server-sent events to clients, without ever waiting for one.
package sse

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Type is the media type of a stream of events.
const Type = "text/event-stream"

// ErrSlow reports that more than Config.Buffer bytes wait for a client, or more than its part of
// Config.Budget.
var ErrSlow = errors.New("the client reads too slowly")

// ErrEnded reports that Config.Ended was closed.
var ErrEnded = errors.New("the stream was ended")

// errClosed is why nothing can be sent to a stream that has ended.
var errClosed = errors.New("the stream is closed")

// Event is one event. ID and Name may be empty. Data is JSON.
type Event struct {
	ID, Name string
	Data     []byte
}

// Config configures a stream. All members are required, except for Budget and Ended.
type Config struct {
	// Heartbeat is the time after which a comment is sent if there is no event, and how long
	// the client may take to accept 64 KiB.
	Heartbeat time.Duration
	// Buffer is how many bytes may wait for the client.
	Buffer int
	// Budget limits what may wait for the clients of all streams that have it; nil is no limit.
	Budget *Budget
	// Ended ends the stream when it is closed.
	Ended <-chan struct{}
	// Failed is called in the goroutine of the stream with ErrEnded, and with the error of the
	// client's connection, after which nothing more can be sent. It must not call the stream.
	Failed func(error)
}

// Stream is one response. Its goroutine is the only one that uses the ResponseWriter, from Open
// until Close returns. Send and Close are called by one goroutine.
type Stream struct {
	config  Config
	w       http.ResponseWriter
	control *http.ResponseController
	wake    chan struct{} // there is something to do
	done    chan struct{} // closed when the goroutine has ended
	begun   bool          // the header has been sent; owned by the goroutine

	mu      sync.Mutex
	pending []byte // the events that wait
	writing int    // the bytes that are being written
	counted int    // the bytes that the budget knows of
	closed  bool
	last    []byte // sent at the end if the header has been, or always is set
	always  bool
	err     error // why nothing more is sent; nil if it can be
}

// Open starts a stream. Its header is sent with the first event, or with the first heartbeat,
// which is after one second at most, so that an error until then can have a status.
func Open(w http.ResponseWriter, c Config) *Stream {
	s := &Stream{config: c, w: w, control: http.NewResponseController(w), wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.Budget.open(1)
	go s.run()
	return s
}

// Send sends an event without waiting. After ErrSlow or another error, nothing more is sent.
func (s *Stream) Send(e Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	waiting := len(s.pending)
	s.pending = e.append(s.pending)
	s.count()
	if waiting > 0 && (len(s.pending) > s.config.Buffer || !s.config.Budget.allows(s.counted)) {
		s.pending, s.err = nil, ErrSlow
		s.count()
		_ = s.control.SetWriteDeadline(time.Now()) // interrupts a write that waits for the client
		return s.err
	}
	s.notify()
	return nil
}

// Close ends the stream after the events that wait, and reports whether anything has been sent. If
// nothing has, last is not sent either, and the caller may send another response; always sends the
// header in any case. Further calls have no effect.
func (s *Stream) Close(last Event, always bool) (begun bool) {
	s.mu.Lock()
	if !s.closed {
		s.closed, s.always = true, always
		if last.Data != nil {
			s.last = last.append(nil)
		}
		s.notify()
	}
	s.mu.Unlock()
	<-s.done
	return s.begun
}

// count tells the budget what waits. It must be called with mu.
func (s *Stream) count() {
	now := len(s.pending) + s.writing
	s.config.Budget.add(now - s.counted)
	s.counted = now
}

func (s *Stream) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes what there is, and heartbeats in between.
func (s *Stream) run() {
	defer close(s.done)
	defer s.leave()
	defer func() {
		if p := recover(); p != nil { // of a ResponseWriter by middleware; it would end the process here
			err := fmt.Errorf("write events: panic: %v", p)
			s.fail(err)
			s.config.Failed(err)
		}
	}()
	heartbeat := time.NewTimer(min(time.Second, s.config.Heartbeat))
	defer heartbeat.Stop()
	ended := s.config.Ended
	for {
		var err error
		last := false
		select {
		case <-s.wake:
			last, err = s.flush()
		case <-heartbeat.C:
			err = s.write([]byte(":\n\n"))
		case <-ended:
			ended = nil
			s.config.Failed(ErrEnded)
			continue
		}
		if last {
			return
		}
		if err != nil {
			s.fail(err)
			s.config.Failed(err)
			return
		}
		heartbeat.Reset(s.config.Heartbeat)
	}
}

// leave returns to the budget what the stream has of it. Nothing waits after that, because Send
// reports an error.
func (s *Stream) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = errClosed
	}
	s.pending, s.writing = nil, 0
	s.count()
	s.config.Budget.open(-1)
}

// flush writes the events that wait, and reports whether they were the last.
func (s *Stream) flush() (closed bool, err error) {
	s.mu.Lock()
	text, closed := s.pending, s.closed
	s.pending = nil
	begin := s.begun || len(text) > 0 || s.always
	if closed && begin {
		text = append(text, s.last...)
	}
	s.writing = len(text)
	s.mu.Unlock()
	if len(text) > 0 || closed && begin {
		err = s.write(text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = 0
	s.count()
	return closed, err
}

// piece is how many bytes a client must accept within one heartbeat.
const piece = 64 << 10

// write sends text, and before the first one, the header.
func (s *Stream) write(text []byte) error {
	if !s.begun {
		s.begun = true
		h := s.w.Header()
		h.Set("Content-Type", Type)
		h.Set("Cache-Control", "no-store, no-transform")
		h.Set("X-Accel-Buffering", "no") // nginx would wait for more
		s.w.WriteHeader(http.StatusOK)
	}
	for {
		if err := s.extend(); err != nil {
			return err
		}
		n := min(len(text), piece)
		if _, err := s.w.Write(text[:n]); err != nil {
			return err
		}
		if err := s.control.Flush(); err != nil {
			return err
		}
		if text = text[n:]; len(text) == 0 {
			return nil
		}
	}
}

// extend gives the client time for another piece. It holds mu, so that it cannot undo the
// interruption by Send.
func (s *Stream) extend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		_ = s.control.SetWriteDeadline(time.Now().Add(s.config.Heartbeat)) // fails if there is no connection, as in tests
	}
	return s.err
}

func (s *Stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.pending, s.err = nil, err
		s.count()
	}
}

// append appends an event. A line break in JSON is white space, and would end the line here.
func (e Event) append(dst []byte) []byte {
	for _, line := range []struct{ name, value string }{{"id: ", e.ID}, {"event: ", e.Name}} {
		if line.value != "" {
			dst = append(append(append(dst, line.name...), breaks.Replace(line.value)...), '\n')
		}
	}
	dst = append(dst, "data: "...)
	start := len(dst)
	dst = append(dst, e.Data...)
	OneLine(dst[start:])
	return append(dst, '\n', '\n')
}

var breaks = strings.NewReplacer("\n", " ", "\r", " ", "\x00", " ")

// OneLine replaces the line breaks in JSON, which are white space, by spaces.
func OneLine(data []byte) {
	for {
		i := bytes.IndexAny(data, "\r\n")
		if i < 0 {
			return
		}
		data[i] = ' '
		data = data[i:]
	}
}
