package micro

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/wire"
)

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		err     *Error
		payload string
		status  int
		message string
		text    string
	}{
		{Errorf(404, "no %q", "x"), `{"status":404,"message":"no \"x\""}`, 404, `no "x"`, `no "x" (status 404)`},
		{NewError("text"), `{"status":"error","message":"text"}`, 0, "text", "text"},
		{NewError(42), `{"status":"error","message":42}`, 0, "42", "42"},
		{NewError(nil), `{"status":"error","message":null}`, 0, "null", "null"},
		{NewError(false), `{"status":"error","message":false}`, 0, "false", "false"},
		{NewError(map[string]any{"code": 409, "x": 1}), `{"code":409,"x":1}`, 409, `{"code":409,"x":1}`, `{"code":409,"x":1} (status 409)`},
		{NewError(struct{}{}), `{}`, 0, `{}`, `{}`},
		{NewError([]int{1}), `[1]`, 0, `[1]`, `[1]`},
		{NewError(json.RawMessage(` {"message":"m"}`)), ` {"message":"m"}`, 0, ` {"message":"m"}`, ` {"message":"m"}`},
		{NewError(json.RawMessage(`{"a":`)), InternalServerError, 0, "Internal server error", "Internal server error"},
		{NewError(make(chan int)), InternalServerError, 0, "Internal server error", "Internal server error"},
		{RemoteError([]byte(`"` + wire.NoHandlerMessage + `"`)), `"` + wire.NoHandlerMessage + `"`, 0, wire.NoHandlerMessage, wire.NoHandlerMessage},
		{RemoteError([]byte(`{"statusCode":400,"message":["a","b"],"error":"Bad Request"}`)), `{"statusCode":400,"message":["a","b"],"error":"Bad Request"}`, 400, "a; b", "a; b (status 400)"},
		{RemoteError([]byte(`{"status":"404","code":99,"message":[1]}`)), `{"status":"404","code":99,"message":[1]}`, 0, "[1]", "[1]"},
		{RemoteError([]byte(`{"status":500,"code":404,"message":{"a":1}}`)), `{"status":500,"code":404,"message":{"a":1}}`, 500, `{"a":1}`, `{"a":1} (status 500)`},
		{RemoteError([]byte(`7`)), `7`, 0, "7", "7"},
		{RemoteError(nil), ``, 0, "", ""},
	} {
		if string(c.err.Payload) != c.payload || c.err.Status != c.status || c.err.Message != c.message || c.err.Error() != c.text {
			t.Errorf("got %s, %d, %q, %q\nwant %s, %d, %q, %q", c.err.Payload, c.err.Status, c.err.Message, c.err.Error(), c.payload, c.status, c.message, c.text)
		}
	}
}

func TestErrorfStatus(t *testing.T) {
	for _, status := range []int{-1, 0, 1, 99, 600} {
		want := fmt.Sprintf("micro: Errorf with status %d: must be between 100 and 599 (use NewError for an error without a status)", status)
		if got := panicOf(func() { _ = Errorf(status, "text") }); got != want {
			t.Errorf("Errorf(%d): panic %v, want %q", status, got, want)
		}
	}
}

// panicOf returns the value that f panics with; nil if it does not panic.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// TestUnreachableKinds checks that one error covers all reasons that a message was not
// handled.
func TestUnreachableKinds(t *testing.T) {
	for _, err := range []error{ErrNotServed, ErrRefused} {
		if !errors.Is(err, ErrUnreachable) || errors.Is(ErrUnreachable, err) {
			t.Errorf("%v is a kind of %v, and not the other way round", err, ErrUnreachable)
		}
	}
}

func TestErrorChains(t *testing.T) {
	one, two := Errorf(500, "read: %w", io.EOF), Errorf(500, "%w and %w", io.EOF, fs.ErrExist)
	if !errors.Is(one, io.EOF) || !errors.Is(two, io.EOF) || !errors.Is(two, fs.ErrExist) || errors.Unwrap(Errorf(500, "plain")) != nil {
		t.Error("an operand of percent w is lost")
	}
	if !errors.Is(RemoteError([]byte(`"`+wire.NoHandlerMessage+`"`)), ErrNoHandler) || errors.Is(NewError(wire.NoHandlerMessage), ErrNoHandler) || RemoteError([]byte("1")).Remote() == NewError(1).Remote() {
		t.Error("an error of the peer is not distinct from a local one")
	}
	// A remote error passes through; a missing handler elsewhere is this service's own failure.
	if got, meant := payloadOf(fmt.Errorf("x: %w", RemoteError([]byte(`{"status":404}`)))); string(got) != `{"status":404}` || !meant {
		t.Errorf("passed on as %s", got)
	}
	if got, meant := payloadOf(RemoteError([]byte(`"` + wire.NoHandlerMessage + `"`))); string(got) != InternalServerError || meant {
		t.Errorf("passed on as %s", got)
	}
	var timeout interface{ Timeout() bool }
	if !errors.As(ErrTimeout, &timeout) || !timeout.Timeout() || ErrTimeout.Error() != "no answer in time" {
		t.Error("ErrTimeout is no timeout")
	}
}

func TestStats(t *testing.T) {
	var s stats
	if got := s.quantile(0.5); got != 0 {
		t.Errorf("no runs, but a median of %v", got)
	}
	for _, d := range []time.Duration{-1, 0, 100, 250, 999, 1000, 1250, 3 * time.Microsecond, time.Millisecond, 7 * time.Second, time.Hour, 1 << 62} {
		b := bucketOf(d)
		high := upperBound(b)
		low := time.Duration(0)
		if b > 0 {
			low = upperBound(b - 1)
		}
		if last := b == bucketCount-1; d >= high && !last || d >= 0 && d < low {
			t.Errorf("%v lies in bucket %d, %v to %v", d, b, low, high)
		}
		if b >= 8 && b < bucketCount-1 && float64(high)/float64(low) > 1.26 {
			t.Errorf("bucket %d is wide: %v to %v", b, low, high)
		}
	}
	for i := range 100 {
		s.add(time.Duration(i+1)*time.Millisecond, i < 10)
	}
	if p50, p99 := s.quantile(0.5), s.quantile(0.99); p50 < 50*time.Millisecond || p50 > 63*time.Millisecond || p99 < 99*time.Millisecond || p99 > 125*time.Millisecond {
		t.Errorf("median %v, p99 %v", p50, p99)
	}
	if s.calls.Load() != 100 || s.errors.Load() != 10 {
		t.Errorf("%d calls, %d errors", s.calls.Load(), s.errors.Load())
	}
}
