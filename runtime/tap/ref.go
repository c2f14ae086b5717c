package tap

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
)

// Ref identifies a span and its trace. The zero value identifies none.
type Ref struct {
	high, low uint64 // the trace
	span      uint64
}

// IsZero reports whether r identifies no span.
func (r Ref) IsZero() bool { return r.span == 0 }

// refLen is the length of the text of a Ref.
const refLen = 32 + 1 + 16

// String returns the trace and the span in hexadecimal, as in 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331.
func (r Ref) String() string {
	dst := r.appendTrace(make([]byte, 0, refLen))
	return string(appendHex(append(dst, '-'), r.span))
}

func (r Ref) appendTrace(dst []byte) []byte { return appendHex(appendHex(dst, r.high), r.low) }

func appendHex(dst []byte, v uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	return hex.AppendEncode(dst, b[:])
}

// ParseRef parses the text of a Ref.
func ParseRef(text string) (Ref, bool) {
	if len(text) != refLen || text[32] != '-' {
		return Ref{}, false
	}
	var b [24]byte
	if _, err := hex.Decode(b[:16], []byte(text[:32])); err != nil {
		return Ref{}, false
	}
	if _, err := hex.Decode(b[16:], []byte(text[33:])); err != nil {
		return Ref{}, false
	}
	r := Ref{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:16]), binary.BigEndian.Uint64(b[16:])}
	return r, !r.IsZero() && r.high|r.low != 0
}

// TraceOf returns a Ref with the trace of a traceparent header (W3C Trace Context) and no span, or the
// zero Ref. A span that it causes is the root of a tree in that trace.
func TraceOf(traceparent string) (r Ref) {
	if len(traceparent) < 55 || traceparent[2] != '-' || traceparent[35] != '-' {
		return Ref{}
	}
	var b [16]byte
	if _, err := hex.Decode(b[:], []byte(traceparent[3:35])); err != nil {
		return Ref{}
	}
	return Ref{high: binary.BigEndian.Uint64(b[:8]), low: binary.BigEndian.Uint64(b[8:])}
}

// Spans are numbered from a random number, so they differ between programs.
var spans, traces = func() (*atomic.Uint64, uint64) {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	first := new(atomic.Uint64)
	first.Store(binary.BigEndian.Uint64(b[:8]))
	return first, binary.BigEndian.Uint64(b[8:]) | 1
}()

// next returns a new span, in the trace of cause or, without one, in a new trace.
func next(cause Ref) Ref {
	span := spans.Add(1)
	if span == 0 {
		span = spans.Add(1)
	}
	if cause.high|cause.low == 0 {
		return Ref{traces, span, span}
	}
	return Ref{cause.high, cause.low, span}
}

// NewRef returns a Ref with a new span, in the trace of cause or, without one, in a new trace.
func NewRef(cause Ref) Ref { return next(cause) }

// Trace returns the trace of r as a record has it.
func (r Ref) Trace() string { return r.String()[:32] }

// Span returns the span of r as a record has it; "" if there is none.
func (r Ref) Span() string {
	if r.IsZero() {
		return ""
	}
	return r.String()[33:]
}

type refKey struct{}

// NewContext returns a context for the work on behalf of a span.
func NewContext(ctx context.Context, r Ref) context.Context {
	return context.WithValue(ctx, refKey{}, r)
}

// FromContext returns the span on whose behalf ctx is used, or the zero Ref.
func FromContext(ctx context.Context) Ref {
	r, _ := ctx.Value(refKey{}).(Ref)
	return r
}

// IsKey reports whether key is the one that FromContext asks for, for contexts that hold a span by
// themselves.
func IsKey(key any) bool { return key == refKey{} }
