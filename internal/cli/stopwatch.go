package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// stopwatch is what -v shows of one message: its packets as they are on the
// wire, and its times. It is used by the goroutine that sends.
type stopwatch struct {
	io      *term.IO
	verbose bool
	start   time.Time
	// place is where on the broker the message goes; "" without a broker.
	place string
	// beside is the attempt whose metadata travels in headers beside the packet;
	// nil where it is in the packet.
	beside *micro.Request

	first, last time.Duration
	values      int
}

// trace observes the message on the wire; nil without -v.
func (w *stopwatch) trace() *micro.Trace {
	if !w.verbose {
		return nil
	}
	p := w.io.ErrPalette()
	return &micro.Trace{
		Connected: func(address string, took time.Duration) {
			w.io.Notef("%s", p.Dim("connected to "+address+" in "+duration(took)))
		},
		Wrote: func(at time.Time, packet []byte) {
			if w.place != "" {
				w.io.Notef("%s %s", p.Accent(">"), p.Dim(w.place))
			}
			if w.beside != nil {
				w.headers(at)
			}
			w.io.Notef("%s %s", p.Accent(">"), packet)
		},
		Read: func(_ time.Time, packet []byte) { w.io.Notef("%s %s", p.Good("<"), packet) },
	}
}

// headers shows what travelled beside the packet, as of when it was written.
func (w *stopwatch) headers(at time.Time) {
	var parts []string
	for key, value := range micro.SentMetadata(w.beside, at) {
		parts = append(parts, key+": "+value)
	}
	w.io.Notef("%s %s", w.io.ErrPalette().Accent(">"), w.io.ErrPalette().Dim("headers "+strings.Join(parts, ", ")))
}

// value takes the time of a value of the answer.
func (w *stopwatch) value() {
	w.last = time.Since(w.start)
	if w.values == 0 {
		w.first = w.last
	}
	w.values++
}

// summary says how long it all took.
func (w *stopwatch) summary(event bool, err error) {
	if !w.verbose {
		return
	}
	took := duration(time.Since(w.start))
	var parts []string
	switch {
	case err != nil:
		parts = append(parts, "ended after "+took)
	case event:
		parts = append(parts, "sent in "+took)
	case w.values == 0:
		parts = append(parts, "answered without a value in "+took)
	}
	switch {
	case w.values == 1:
		parts = append(parts, "value after "+duration(w.first))
	case w.values > 1:
		parts = append(parts, fmt.Sprintf("first of %d values after %s, last after %s", w.values, duration(w.first), duration(w.last)))
	}
	w.io.Notef("%s", w.io.ErrPalette().Dim(strings.Join(parts, ", ")))
}

// duration prints a duration with three digits, as a person reads it.
func duration(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'g', 3, 64) + "s"
	case d >= time.Millisecond:
		return strconv.FormatFloat(float64(d)/1e6, 'g', 3, 64) + "ms"
	}
	return strconv.FormatInt(d.Microseconds(), 10) + "µs"
}
