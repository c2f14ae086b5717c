package micro

import (
	"bytes"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/tap"
)

// The metadata keys that the runtime uses. Values are strings, so that they are the same
// in a packet's metadata (NestJS 12, TCP and Redis) and in the headers of a broker's
// message.
const (
	MetaCorrelationID = "correlation-id" // one ID for everything that a user's action causes
	MetaTraceparent   = "traceparent"    // W3C Trace Context, forwarded unchanged
	MetaTimeout       = "timeout-ms"     // milliseconds that the caller will wait, as of sending
	MetaAttempt       = "attempt"        // 2 for the first retry, and so on; absent for the first attempt

	// The ID of a message at its origin, such as that of a webhook, so that a handler can be
	// idempotent. On RabbitMQ, it is also the property message-id.
	MetaMessageID = "message-id"
	// The key that a client has given its request, and repeats it with. It is unique among the
	// requests of one caller.
	MetaIdempotencyKey = "idempotency-key"
)

// Metadata holds the key-value pairs of a message in addition to its data. The zero value
// is empty. It is not safe for concurrent modification.
type Metadata struct {
	raw   []byte // the JSON object as received; pairs override its members
	pairs []pair // never changed, except that pairs are appended: copies may share them
}

type pair struct{ key, value string }

// Get returns the value of key, or "" if it is absent. If the value is not a JSON string,
// Get returns its JSON text.
func (m *Metadata) Get(key string) string {
	for i := range m.pairs {
		if m.pairs[i].key == key {
			return m.pairs[i].value
		}
	}
	v, _ := m.received(key)
	return text(v)
}

// received returns the JSON text of a member of the received object.
func (m *Metadata) received(key string) (value []byte, ok bool) {
	m.scan(func(k, v []byte) bool {
		if string(k) == key {
			value, ok = v, true // the last of duplicate members wins
		}
		return true
	})
	return value, ok
}

// Set sets the value of key.
func (m *Metadata) Set(key, value string) {
	for i := range m.pairs {
		if m.pairs[i].key == key {
			m.pairs = slices.Clone(m.pairs)
			m.pairs[i].value = value
			return
		}
	}
	m.pairs = append(m.pairs, pair{key, value})
}

// All yields every key with its value.
func (m *Metadata) All() iter.Seq2[string, string] { return m.each }

// each calls yield as All does. Unlike an iterator that a function returns, a method that
// is called directly leaves its callers' closures on the stack.
func (m *Metadata) each(yield func(key, value string) bool) {
	for i := range m.pairs {
		if !yield(m.pairs[i].key, m.pairs[i].value) {
			return
		}
	}
	if m.raw != nil {
		m.scan(func(k, v []byte) bool {
			key := string(k)
			return m.has(key) || yield(key, text(v))
		})
	}
}

func (m *Metadata) has(key string) bool {
	for i := range m.pairs {
		if m.pairs[i].key == key {
			return true
		}
	}
	return false
}

// Shared returns a copy that uses m's memory. Neither changes when the other one does.
func (m *Metadata) Shared() Metadata {
	c := *m
	c.pairs = slices.Clip(m.pairs) // so that appending copies them
	return c
}

// Clone returns a copy that is independent of m and of the received message.
func (m *Metadata) Clone() Metadata {
	var c Metadata
	for k, v := range m.All() {
		c.pairs = append(c.pairs, pair{k, v})
	}
	return c
}

// scan calls f with the decoded name and the JSON text of each member of the received
// object, until f returns false.
func (m *Metadata) scan(f func(key, value []byte) bool) {
	b := m.raw
	if len(b) < 2 || b[0] != '{' {
		return
	}
	for i := js.SkipSpace(b, 1); i < len(b) && b[i] == '"'; {
		end := js.SkipString(b, i+1)
		key := b[i+1 : end-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			key = []byte(text(b[i:end]))
		}
		start := js.SkipSpace(b, js.SkipKey(b, i))
		end = js.SkipValue(b, start)
		if !f(key, b[start:end]) {
			return
		}
		if i = js.SkipSpace(b, end); b[i] == ',' {
			i = js.SkipSpace(b, i+1)
		}
	}
}

// text returns the content of the JSON string v, or the JSON text of any other value.
func text(v []byte) string {
	if len(v) < 2 || v[0] != '"' {
		return string(v)
	}
	if bytes.IndexByte(v, '\\') >= 0 {
		var s string
		if defaultCodec.Unmarshal(v, &s) == nil {
			return s
		}
	}
	return string(v[1 : len(v)-1])
}

// maxTimeout is the maximum remaining time of a caller; a longer one is ignored.
const maxTimeout = 365 * 24 * time.Hour

// delivery returns the caller's data about this attempt: the remaining time, if given, and
// the number of the attempt, 1 by default.
func (m *Metadata) delivery() (left time.Duration, timed bool, attempt int) {
	attempt = 1
	read := func(key, v []byte) {
		switch string(key) {
		case MetaTimeout:
			ms, ok := parseNumber(v)
			timed = ok && ms <= maxTimeout.Milliseconds()
			left = time.Duration(min(max(ms, 0), maxTimeout.Milliseconds())) * time.Millisecond
		case MetaAttempt:
			if n, ok := parseNumber(v); ok {
				attempt = int(min(max(n, 1), math.MaxInt32))
			}
		}
	}
	m.scan(func(k, v []byte) bool {
		read(k, v)
		return true
	})
	for _, p := range m.pairs {
		read([]byte(p.key), []byte(p.value))
	}
	return left, timed, attempt
}

// parseNumber reads a whole number from a JSON string or number.
func parseNumber(v []byte) (n int64, ok bool) {
	v = bytes.Trim(v, `"`)
	negative := len(v) > 0 && v[0] == '-'
	if negative {
		v = v[1:]
	}
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// AppendMetadata appends the metadata of a message that is sent now as a JSON object: the
// pairs of SentMetadata. If there are none, it appends nothing.
func AppendMetadata(dst []byte, req *Request, now time.Time) []byte {
	separator := byte('{')
	req.eachSent(now, func(k, v string) bool {
		dst = js.AppendString(append(dst, separator), k)
		dst = js.AppendString(append(dst, ':'), v)
		separator = ','
		return true
	})
	if separator == '{' {
		return dst
	}
	return append(dst, '}')
}

// SentMetadata yields the metadata of a message that is sent now: the pairs set on it and,
// unless its client was created with [WithoutMetadata], its correlation ID, the milliseconds
// until its deadline if it is a request, and its attempt number if it is a retry. Transports
// that send headers call it for each message; AppendMetadata returns the same as JSON.
func SentMetadata(req *Request, now time.Time) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) { req.eachSent(now, yield) }
}

// eachSent calls yield as SentMetadata does.
func (r *Request) eachSent(now time.Time, yield func(key, value string) bool) {
	if r.bare {
		r.Metadata.each(yield)
		return
	}
	timed := !r.Deadline.IsZero() && !r.Event // no caller waits for an event, so its handler has no deadline
	more := true
	r.Metadata.each(func(k, v string) bool {
		replaced := k == MetaTimeout && timed || k == MetaAttempt && r.Attempt > 0 || k == MetaCorrelationID && v == "" || k == tap.Key && r.report != nil // a forwarded message gets its own
		more = replaced || yield(k, v)
		return more
	})
	if !more {
		return
	}
	if r.correlation != "" && r.Metadata.Get(MetaCorrelationID) == "" && !yield(MetaCorrelationID, r.correlation) {
		return
	}
	if r.report != nil && !yield(tap.Key, r.report.span.String()) {
		return
	}
	if timed && !yield(MetaTimeout, strconv.FormatInt(max(r.Deadline.Sub(now).Milliseconds(), 0), 10)) {
		return
	}
	if r.Attempt > 1 {
		yield(MetaAttempt, strconv.Itoa(r.Attempt))
	}
}
