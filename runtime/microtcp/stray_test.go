package microtcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// TestStrays checks that what arrives in the place of a reply is shown to the call's trace
// and named in its error, whatever becomes of the connection.
func TestStrays(t *testing.T) {
	const lost, late = "connection closed", "no answer in time"
	tests := []struct {
		name  string
		sent  string // %s is the id of the request; "close" closes the connection
		err   string // %d is the length of the id
		shown string
	}{
		{"no id", `15#{"status":"ok"}`, late + ": a reply was ignored: it has no id", `{"status":"ok"}: has no id`},
		{"not an object", `3#[1]`, late + ": a reply was ignored: it has no id", `[1]: has no id`},
		{"a number as the id", `8#{"id":1}`, late + ": a reply was ignored: it does not have the id of the request", `{"id":1}: does not have the id of the request`},
		{"another id", `10#{"id":"x"}`, late + ": a reply was ignored: it does not have the id of the request", `{"id":"x"}: does not have the id of the request`},
		{"no end", `43#{"response":1,"id":"%s"}`, late + `: the last packet of the reply has no "isDisposed": true`, ""},
		{"a status alone", `44#{"status":"ok","id":"%s"}`, late + `: the last packet of the reply has neither "response" nor "err" nor "isDisposed": true`, ""},
		{"no length", `{"response":1}`, late + `: a reply was ignored: it does not begin with its length and #`, `{"response":1}: does not begin with its length and #`},
		{"a length in bytes", `10#{"a":"é"}`, late + ": a reply was ignored: it is incomplete: its header announces 10 characters, and 9 have arrived", ""},
		{"not JSON", `2#ok`, lost + ": framing error: a reply was ignored: it is not JSON", "ok: is not JSON"},
		{"a length that is too small", `10#{"response":1,"id":"%s"}`, lost + ": framing error: a reply was ignored: it is not JSON", `{"response: is not JSON`},
		{
			"HTTP with a #", "HTTP/1.1 400 Bad Request\r\nX: #",
			lost + `: a reply was ignored: it cannot be read: framing error: "HTTP/1.1 400 Bad Request\r\nX: " is not a length`,
			"HTTP/1.1 400 Bad Request\r\nX: #" + `: cannot be read: framing error: "HTTP/1.1 400 Bad Request\r\nX: " is not a length`,
		},
		{
			"HTTP, closed", "HTTP/1.1 400 Bad Request\r\n\r\nclose",
			lost + ": a reply was ignored: it does not begin with its length and #",
			"HTTP/1.1 400 Bad Request\r\n\r\n: does not begin with its length and #",
		},
		{
			"half a frame, closed", `15#{"respclose`,
			lost + ": a reply was ignored: it is incomplete: its header announces 15 characters, and 6 have arrived",
			`{"resp: is incomplete: its header announces 15 characters, and 6 have arrived`,
		},
		{"too large", `5000#` + strings.Repeat("x", 1001), lost + ": framing error: a packet of 5000 characters exceeds the limit of 1000 (WithMaxBufferSize)", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wrote := make(chan struct{}) // the caller has finished writing, and waits
			p := scripted(t, func(c *peerConn) {
				request, _ := c.next()
				<-wrote
				text, closes := strings.CutSuffix(tt.sent, "close")
				if strings.Contains(text, "%s") {
					text = fmt.Sprintf(text, strings.Trim(string(request.ID), `"`))
				}
				_, _ = c.Write([]byte(text))
				if !closes {
					_, _ = c.next()
				}
			})
			c := client(t, p.addr(), WithMaxBufferSize(1000))
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			if strings.HasPrefix(tt.err, late) {
				ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
			}
			defer cancel()
			shown := ""
			trace := &micro.Trace{
				Wrote: func(time.Time, []byte) { close(wrote) },
				Stray: func(_ time.Time, data []byte, why string) { shown = string(data) + ": " + why },
			}
			err := c.Do(ctx, &micro.Request{Pattern: echo, Trace: trace}, micro.ReplyFunc(func(micro.Value) error { return nil }))
			if err == nil || err.Error() != tt.err {
				t.Errorf("error %v\nwant  %s", err, tt.err)
			}
			if tt.shown != "" && shown != tt.shown {
				t.Errorf("shown %s\nwant  %s", shown, tt.shown)
			}
		})
	}
}

// TestTooLarge checks that a client that closes the connection itself reports its limit,
// and that a higher limit helps.
func TestTooLarge(t *testing.T) {
	p := scripted(t, func(c *peerConn) { c.answer() })
	long := strings.Repeat("x", 5000)
	_, err := micro.Call[string](t.Context(), client(t, p.addr(), WithMaxBufferSize(1000)), echo, long)
	var large *TooLargeError
	if !errors.As(err, &large) || large.Limit != 1000 || large.Length < 5000 || !errors.Is(err, micro.ErrConnectionLost) {
		t.Fatalf("%v", err)
	}
	got, err := micro.Call[string](t.Context(), client(t, p.addr(), WithMaxBufferSize(large.Length+100)), echo, long)
	if got != long || err != nil {
		t.Errorf("with a limit of %d: %d bytes, %v", large.Length, len(got), err)
	}
}
