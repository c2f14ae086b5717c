package message

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
)

// trace prints for -v the packets of one message, as sent and received but without
// credentials, and the timings. Only the sending goroutine uses it, except for strays.
type trace struct {
	io      *term.IO
	verbose bool
	start   time.Time
	// place is the queue, channel, or subject of the message; "" without a broker.
	place string
	// request is the current attempt if its metadata travels in headers; nil if it is
	// in the packet.
	request *micro.Request

	first, last time.Duration
	values      int

	strays *strays

	strayed func() // called with each stray; nil for nothing
}

// strays is the beginning of the first thing that arrived and is no reply. Events share one,
// because what arrives after an event may be shown to the trace of the one before.
type strays struct {
	mu   sync.Mutex
	seen []byte // guarded by mu
}

// strayData returns the beginning of the first thing that arrived and is no reply; nil if
// nothing did.
func (t *trace) strayData() []byte {
	t.strays.mu.Lock()
	defer t.strays.mu.Unlock()
	return t.strays.seen
}

// micro returns the observer of the message.
func (t *trace) micro() *micro.Trace {
	if !t.verbose {
		return &micro.Trace{Stray: t.stray}
	}
	p := t.io.ErrPalette()
	return &micro.Trace{
		Stray: t.stray,
		Connected: func(address string, took time.Duration) {
			t.io.Notef("%s", p.Dim("connected to "+address+" in "+term.Duration(took)))
		},
		Wrote: func(at time.Time, packet []byte) {
			if t.place != "" {
				t.io.Notef("%s %s", p.Accent(">"), p.Dim(t.place))
			}
			if t.request != nil {
				t.headers(at)
			}
			t.io.Notef("%s %s", p.Accent(">"), packetText(packet))
		},
		Read: func(_ time.Time, packet []byte) { t.io.Notef("%s %s", p.Good("<"), packetText(packet)) },
	}
}

// maxSeen is enough to recognize a protocol.
const maxSeen = 1 << 10

// stray keeps what arrived in the place of a reply, and prints it with -v.
func (t *trace) stray(_ time.Time, data []byte, why string) {
	t.strays.mu.Lock()
	if t.strays.seen == nil {
		t.strays.seen = append([]byte{}, data[:min(len(data), maxSeen)]...)
	}
	t.strays.mu.Unlock()
	if t.strayed != nil {
		defer t.strayed() // after printing, because the command then ends
	}
	if !t.verbose {
		return
	}
	p := t.io.ErrPalette()
	text := packetText(data)
	if !json.Valid(data) {
		text = strconv.Quote(string(data)) // it may contain anything
	}
	t.io.Notef("%s %s", p.Bad("<"), text)
	t.io.Notef("%s", p.Dim("  ignored: it "+why))
}

// packetText returns a packet on one line, without credentials.
func packetText(packet []byte) string { return visible.Line(string(secret.JSON(packet))) }

// headers prints the headers that were sent with the packet at a given time.
func (t *trace) headers(at time.Time) {
	var parts []string
	for key, value := range micro.SentMetadata(t.request, at) {
		parts = append(parts, visible.Line(secret.Argument(key+": "+value)))
	}
	if len(parts) == 0 {
		return
	}
	t.io.Notef("%s %s", t.io.ErrPalette().Accent(">"), t.io.ErrPalette().Dim("headers "+strings.Join(parts, ", ")))
}

// value records the arrival of a value.
func (t *trace) value() {
	t.last = time.Since(t.start)
	if t.values == 0 {
		t.first = t.last
	}
	t.values++
}

// summary prints the timings.
func (t *trace) summary(event bool, err error) {
	if !t.verbose {
		return
	}
	took := term.Duration(time.Since(t.start))
	var parts []string
	switch {
	case err != nil:
		parts = append(parts, "failed after "+took)
	case event:
		parts = append(parts, "sent in "+took)
	case t.values == 0:
		parts = append(parts, "reply without a value after "+took)
	}
	switch {
	case t.values == 1:
		parts = append(parts, "reply after "+term.Duration(t.first))
	case t.values > 1:
		parts = append(parts, fmt.Sprintf("first of %d values after %s, last after %s", t.values, term.Duration(t.first), term.Duration(t.last)))
	}
	t.io.Notef("%s", t.io.ErrPalette().Dim(strings.Join(parts, ", ")))
}
