package tap

import (
	"bytes"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/msctl/msctl/runtime/internal/js"
)

// Span is one message while it is on its way. Its fields are set before [Reporter.Start], apart from
// Status and Route, which are set before End. It is used by one goroutine at a time. A nil Span ignores everything.
type Span struct {
	Kind Kind
	// Pattern is the JSON text of the message's pattern or, for HTTP, the method and the route.
	Pattern     string
	Event       bool
	Call        string
	Attempt     int
	Transport   string
	Peer        string
	ID          []byte // JSON text
	Correlation string
	Metadata    func(yield func(key, value string) bool)
	Data        []byte // JSON text; must stay unchanged until End has returned
	Path        string // of an HTTP request
	Status      int
	Route       string // replaces Pattern at the end, unless it is empty

	reporter *Reporter
	ref      Ref
	parent   uint64
	start    time.Time
	values   int
	out      int
	reply    []byte // masked and cut

	announced      bool // guarded by the reporter, as are these
	previous, next *Span
}

// Ref returns what identifies the span; the zero Ref for a nil Span.
func (s *Span) Ref() Ref {
	if s == nil {
		return Ref{}
	}
	return s.ref
}

// Reply records a value of the reply, which need not be kept.
func (s *Span) Reply(value []byte) {
	if s == nil {
		return
	}
	s.values++
	s.out += len(value)
	if s.reporter.body > 0 && value != nil {
		s.reply = append(s.reply[:0], value[:min(len(value), s.reporter.body+1)]...)
	}
}

// End reports the span. failure is nil unless the outcome is an error.
func (s *Span) End(outcome Outcome, failure *Error) {
	if s == nil {
		return
	}
	scratch := lines.Get().(*[]byte)
	defer func() {
		if cap(*scratch) <= 64<<10 {
			lines.Put(scratch)
		}
	}()
	*scratch = s.appendEnd((*scratch)[:0], outcome, failure)
	s.reporter.end(s, *scratch)
}

var lines = sync.Pool{New: func() any { return new([]byte) }}

// append appends the line of a span, for one that has ended without its end. It reads nothing that
// changes after the start.
func (s *Span) append(dst []byte, open bool) []byte {
	dst = append(dst, `{"kind":"`...)
	dst = append(dst, s.Kind...)
	dst = append(dst, `","trace":"`...)
	dst = s.ref.appendTrace(dst)
	dst = append(dst, `","span":"`...)
	dst = appendHex(dst, s.ref.span)
	if s.parent != 0 {
		dst = append(dst, `","parent":"`...)
		dst = appendHex(dst, s.parent)
	}
	dst = append(dst, `","pattern":`...)
	if open || s.Route == "" {
		dst = appendString(dst, s.Pattern)
	} else {
		dst = appendString(dst, s.Route)
	}
	dst = appendText(dst, `,"path":`, s.Path)
	if s.Event {
		dst = append(dst, `,"event":true`...)
	}
	dst = appendText(dst, `,"call":`, s.Call)
	if s.Attempt > 1 {
		dst = strconv.AppendInt(append(dst, `,"attempt":`...), int64(s.Attempt), 10)
	}
	dst = appendText(dst, `,"transport":`, s.Transport)
	dst = appendText(dst, `,"peer":`, s.Peer)
	dst = appendText(dst, `,"correlation":`, s.Correlation)
	dst = strconv.AppendInt(append(dst, `,"start":`...), s.start.UnixNano(), 10)
	dst = strconv.AppendInt(append(dst, `,"took":`...), int64(time.Since(s.start)), 10)
	if open {
		dst = append(dst, `,"open":true}`+"\n"...)
	}
	return dst
}

func (s *Span) appendEnd(dst []byte, outcome Outcome, failure *Error) []byte {
	dst = s.append(dst, false)
	dst = appendText(dst, `,"outcome":`, string(outcome))
	if s.Status != 0 {
		dst = strconv.AppendInt(append(dst, `,"status":`...), int64(s.Status), 10)
	}
	if failure != nil {
		dst = appendString(append(dst, `,"error":{"message":`...), MaskText(failure.Message))
		if failure.Status != 0 {
			dst = strconv.AppendInt(append(dst, `,"status":`...), int64(failure.Status), 10)
		}
		dst = appendText(dst, `,"stack":`, failure.Stack)
		if failure.Own {
			dst = append(dst, `,"own":true`...)
		}
		dst = append(dst, '}')
	}
	if s.ID != nil {
		dst = append(append(dst, `,"id":`...), s.ID...)
	}
	if s.values > 0 {
		dst = strconv.AppendInt(append(dst, `,"values":`...), int64(s.values), 10)
	}
	if len(s.Data) > 0 {
		dst = strconv.AppendInt(append(dst, `,"in":`...), int64(len(s.Data)), 10)
	}
	if s.out > 0 {
		dst = strconv.AppendInt(append(dst, `,"out":`...), int64(s.out), 10)
	}
	limit := s.reporter.body
	if len(s.Data) > 0 && limit > 0 {
		dst = appendBody(append(dst, `,"data":`...), s.Data, limit)
	}
	if len(s.reply) > 0 {
		dst = appendBody(append(dst, `,"reply":`...), s.reply, limit)
	}
	if limit > 0 && (len(s.Data) > limit || len(s.reply) > limit) {
		dst = append(dst, `,"cut":true`...)
	}
	dst = s.appendMetadata(dst)
	return append(dst, "}\n"...)
}

func (s *Span) appendMetadata(dst []byte) []byte {
	if s.Metadata == nil {
		return dst
	}
	separator := `,"metadata":{`
	s.Metadata(func(key, value string) bool {
		dst = append(append(appendString(append(dst, separator...), key), ':'), appendString(nil, maskedValue(key, value))...)
		separator = ","
		return true
	})
	if separator == "," {
		dst = append(dst, '}')
	}
	return dst
}

// MaskPair returns a value of metadata as it is recorded: without secrets.
func MaskPair(key, value string) string { return maskedValue(key, value) }

// Body returns JSON text as it is recorded: without secrets and, if it is longer than limit, its
// beginning as a string.
func Body(text []byte, limit int) []byte { return appendBody(nil, text, limit) }

func maskedValue(key, value string) string {
	switch {
	case key == Key:
		return value
	case isSecret([]byte(key)):
		return "***"
	case len(value) > 0 && (value[0] == '{' || value[0] == '['):
		return string(Mask(nil, []byte(value)))
	}
	return MaskText(value)
}

// appendBody appends masked JSON text or, if it is longer than limit, its beginning as a string.
func appendBody(dst, text []byte, limit int) []byte {
	if len(text) <= limit {
		return appendLine(dst, text)
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return appendString(dst, string(Mask(nil, text[:limit])))
}

// appendLine appends masked JSON text without line breaks, which end a record.
func appendLine(dst, text []byte) []byte {
	from := len(dst)
	dst = Mask(dst, text)
	for _, c := range []byte{'\n', '\r'} {
		for i := bytes.IndexByte(dst[from:], c); i >= 0; i = bytes.IndexByte(dst[from:], c) {
			dst[from+i] = ' '
		}
	}
	return dst
}

func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value)
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return js.AppendString(dst, s)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
