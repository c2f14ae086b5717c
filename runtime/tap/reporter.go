package tap

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Env names the environment variable that makes a program report its messages. Its value is a URL:
// tcp://SERVICE:SECRET@ADDRESS, where ADDRESS is a loopback address and a port, with the optional
// parameter body, the limit of the recorded data and replies in bytes (16384 by default; 0 records none).
const Env = "MSCTL_TAP"

// DefaultBody limits the data and the reply in a record, in bytes, unless Env has another limit.
const DefaultBody = 16 << 10

const (
	flushEvery = 20 * time.Millisecond
	maxBuffer  = 4 << 20 // bytes that wait for the collector; what exceeds it is dropped
	writeTime  = time.Second
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// Reporter sends records to a collector. A nil Reporter reports nothing. It is safe for concurrent use.
type Reporter struct {
	address string
	hello   []byte
	body    int

	off     atomic.Bool  // no collector answers: spans are not recorded until Reporter tries again
	dropped atomic.Int64 // since the last line that counts them

	mu     sync.Mutex // guards what follows
	buffer []byte     // complete lines
	spare  []byte
	due    bool // a flush has been scheduled
	first  *Span
	last   *Span // spans that have not ended, in the order of their start

	writing sync.Mutex // held while flushing; guards what follows
	conn    net.Conn
	backoff time.Duration
}

// Parse returns the reporter for a value of [Env].
func Parse(value string) (*Reporter, error) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "tcp" || u.User == nil {
		return nil, fmt.Errorf("%s is not of the form tcp://SERVICE:SECRET@ADDRESS", Env) // its value contains a secret
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s: %s is not a loopback address", Env, u.Host)
	}
	r := &Reporter{address: u.Host, body: DefaultBody}
	if text := u.Query().Get("body"); text != "" {
		if r.body, err = strconv.Atoi(text); err != nil || r.body < 0 {
			return nil, fmt.Errorf("%s: body is not a number of bytes", Env)
		}
	}
	secret, _ := u.User.Password()
	line, err := json.Marshal(Hello{Tap: Version, Secret: secret, Service: u.User.Username(), Runtime: "go", PID: os.Getpid()})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Env, err)
	}
	line = append(line, '\n')
	r.hello = line
	return r, nil
}

// Default returns the reporter of this program, or nil if [Env] is not set or not valid.
var Default = sync.OnceValue(func() *Reporter {
	value := os.Getenv(Env)
	if value == "" {
		return nil
	}
	r, err := Parse(value)
	if err != nil {
		return nil // a program that is observed works as without it
	}
	return r
})

// Recording reports whether spans are recorded now: r is not nil, and a collector answers. If none
// does, it counts the span that its caller will not start as dropped.
func (r *Reporter) Recording() bool {
	if r == nil {
		return false
	}
	if r.off.Load() {
		r.dropped.Add(1)
		return false
	}
	return true
}

// Start begins a span of what is caused by cause or, if that is zero, of a new trace. It returns s.
func (r *Reporter) Start(s *Span, cause Ref) *Span {
	s.reporter, s.ref, s.parent, s.start = r, next(cause), cause.span, time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.previous = r.last; r.last != nil {
		r.last.next = s
	} else {
		r.first = s
	}
	r.last = s
	r.schedule()
	return s
}

// schedule makes the reporter flush soon. r.mu must be held.
func (r *Reporter) schedule() {
	if !r.due {
		r.due = true
		time.AfterFunc(flushEvery, r.flushDue)
	}
}

// end removes a span from those that have not ended, and keeps its record.
func (r *Reporter) end(s *Span, line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.previous != nil {
		s.previous.next = s.next
	} else {
		r.first = s.next
	}
	if s.next != nil {
		s.next.previous = s.previous
	} else {
		r.last = s.previous
	}
	s.previous, s.next = nil, nil
	r.keep(line)
	r.schedule()
}

// keep appends a line to the buffer, or counts it as dropped. r.mu must be held.
func (r *Reporter) keep(line []byte) {
	if len(r.buffer)+len(line) > maxBuffer {
		r.dropped.Add(1)
		return
	}
	r.buffer = append(r.buffer, line...)
}

func (r *Reporter) flushDue() {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	r.due = false
	r.announce()
	r.mu.Unlock()
	r.flush()
}

// announce keeps records of the spans that have not ended and were not reported yet. The newest ones
// will probably end before the next flush. r.mu must be held.
func (r *Reporter) announce() {
	newest := time.Now().Add(-flushEvery / 2)
	waiting := false
	for s := r.first; s != nil; s = s.next {
		if s.announced {
			continue
		}
		if s.start.After(newest) {
			waiting = true
			break
		}
		s.announced = true
		r.keep(s.append(nil, true))
	}
	if waiting {
		r.schedule()
	}
}

// Flush writes what is kept, without waiting for long. Programs call it before they exit.
func (r *Reporter) Flush() {
	if r == nil {
		return
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	r.flush()
}

// flush writes what is kept. r.writing must be held.
func (r *Reporter) flush() {
	r.mu.Lock()
	lines := r.buffer
	r.buffer, r.spare = r.spare[:0], nil
	r.mu.Unlock()
	defer func() {
		if cap(lines) <= maxBuffer/4 {
			r.mu.Lock()
			r.spare = lines[:0]
			r.mu.Unlock()
		}
	}()
	dropped := r.dropped.Swap(0)
	if len(lines) == 0 && dropped == 0 {
		return
	}
	if dropped > 0 {
		lines = fmt.Appendf(lines, `{"dropped":%d}`+"\n", dropped)
	}
	if err := r.write(lines); err != nil {
		r.dropped.Add(dropped + int64(countLines(lines)))
		r.rest()
	}
}

func countLines(b []byte) (n int) {
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}

func (r *Reporter) write(lines []byte) error {
	if r.conn == nil {
		dialer := net.Dialer{Timeout: writeTime}
		conn, err := dialer.DialContext(context.Background(), "tcp", r.address)
		if err != nil {
			return err
		}
		r.conn = conn
		lines = append(append([]byte(nil), r.hello...), lines...)
	}
	_ = r.conn.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := r.conn.Write(lines); err != nil {
		_ = r.conn.Close()
		r.conn = nil
		return err
	}
	r.backoff = 0
	return nil
}

// rest stops recording until the collector is tried again. r.writing must be held.
func (r *Reporter) rest() {
	r.backoff = min(max(2*r.backoff, minBackoff), maxBackoff)
	r.off.Store(true)
	time.AfterFunc(r.backoff, func() { r.off.Store(false) })
}

// Close flushes, and closes the connection. The reporter connects again if there is more to report.
func (r *Reporter) Close() {
	if r == nil {
		return
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	r.flush()
	if r.conn != nil {
		_ = r.conn.Close()
		r.conn = nil
	}
}
