package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term/visible"
	record "github.com/msctl/msctl/runtime/tap"
)

// Recording is recorded messages: one [tap.Message] for each line of a file.
type Recording struct {
	// Name names the file.
	Name string
	// Dropped counts the messages that are missing because they were dropped.
	Dropped int

	spans    []*tap.Message // as they began
	bySpan   map[string]*tap.Message
	children map[string][]*tap.Message // by the span that caused them
}

// ReadRecording reads a file of recorded messages. The error names the line.
func ReadRecording(path string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseRecording(path, f)
}

func parseRecording(name string, from io.Reader) (*Recording, error) {
	r := &Recording{Name: name, bySpan: map[string]*tap.Message{}, children: map[string][]*tap.Message{}}
	err := tap.ReadRecording(from, func(_ int, m *tap.Message) error {
		r.Dropped += m.Dropped
		if m.Span == "" {
			return nil
		}
		m.Data, m.Reply = nil, nil // not needed, and large
		visible.Strings(m, visible.Line)
		r.add(m)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s, %w", name, err)
	}
	if len(r.bySpan) == 0 {
		return nil, fmt.Errorf("%s contains no recorded messages", name)
	}
	r.index()
	return r, nil
}

// add adds a span, or replaces its record from before its end.
func (r *Recording) add(m *tap.Message) {
	if old := r.bySpan[m.Span]; old != nil && !old.Open {
		return
	}
	r.bySpan[m.Span] = m
}

func (r *Recording) index() {
	for _, m := range r.bySpan {
		r.spans = append(r.spans, m)
	}
	slices.SortFunc(r.spans, func(a, b *tap.Message) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), strings.Compare(a.Span, b.Span))
	})
	for _, m := range r.spans {
		if m.Parent != "" {
			r.children[m.Parent] = append(r.children[m.Parent], m)
		}
	}
}

// handled returns the spans of the receivers of a message that was sent.
func (r *Recording) handled(sent *tap.Message) (list []*tap.Message) {
	for _, m := range r.children[sent.Span] {
		if m.Kind == record.Handle {
			list = append(list, m)
		}
	}
	return list
}

// sends returns the requests that were sent on behalf of a span.
func (r *Recording) sends(of *tap.Message) (list []*tap.Message) {
	for _, m := range r.children[of.Span] {
		if m.Kind == record.Send {
			list = append(list, m)
		}
	}
	return list
}

func end(m *tap.Message) int64 { return m.Start + m.Took }

// needRecording returns the recording, or reports that the check needs one.
func (e *exam) needRecording() *Recording {
	if e.Recording == nil {
		e.skip("", "no recorded messages: `msctl tap --record FILE` records them, and --from FILE reads them")
	}
	return e.Recording
}

// trace names the trace of a message, as evidence.
func (r *Recording) trace(m *tap.Message) string { return fmt.Sprintf("%s, trace %s", r.Name, m.Trace) }

// clocks reports services whose clocks disagree: a message cannot be handled before it has been sent, nor can its reply
// arrive before the end of its handler.
func clocks(_ context.Context, e *exam) {
	r := e.needRecording()
	if r == nil {
		return
	}
	found := r.offsets()
	if len(found) == 0 {
		e.skip("", "no recorded request has both a sender and a receiver: services report their health without a time")
		return
	}
	for _, o := range found {
		e.checked()
		if !o.disagree() {
			continue
		}
		by := o.low
		ahead, behind := o.receiver, o.sender
		if o.high < 0 {
			by, ahead, behind = -o.high, o.sender, o.receiver
		}
		e.found(Finding{
			Code: "clock-skew", Where: o.sender + " → " + o.receiver,
			Evidence: []string{
				fmt.Sprintf("in %d of %d requests, %s handled the message outside of the time in which %s waited for it", o.outside, o.requests, o.receiver, o.sender),
				fmt.Sprintf("the clock of %s is ahead of that of %s by at least %s (%s)", ahead, behind, time.Duration(by).Round(time.Millisecond), r.trace(o.example)),
			},
			Cause: "the clocks of the machines disagree, so times in logs, traces, and tokens (exp, nbf) do not fit together",
			Fix:   "synchronize the clocks of both machines (NTP: chronyc tracking, timedatectl)",
		})
	}
}

// offset is how much the clock of a receiver is ahead of that of a sender, in nanoseconds: at least low, and at most high.
type offset struct {
	sender, receiver  string
	low, high         int64
	requests, outside int
	example           *tap.Message
}

// tolerance is how far clocks may differ. Times are taken a moment before or after what they stand for.
const tolerance = int64(50 * time.Millisecond)

// disagree reports whether every request supports the same difference, and it is more than the tolerance. The bounds
// contradict each other if a clock was set, or if the records are not those of one exchange.
func (o *offset) disagree() bool {
	return o.low <= o.high && (o.low > tolerance || o.high < -tolerance)
}

func (r *Recording) offsets() (list []*offset) {
	for _, sent := range r.spans {
		if sent.Kind != record.Send || sent.Open || sent.Outcome != record.OK && sent.Outcome != record.Failed {
			continue // without a reply, its end is not that of the handler
		}
		received := r.handled(sent)
		if len(received) != 1 || received[0].Open {
			continue
		}
		h := received[0]
		// h.Start − offset ≥ sent.Start, and end(h) − offset ≤ end(sent)
		high, low := h.Start-sent.Start, end(h)-end(sent)
		i := slices.IndexFunc(list, func(o *offset) bool { return o.sender == sent.Service && o.receiver == h.Service })
		if i < 0 {
			list = append(list, &offset{sender: sent.Service, receiver: h.Service, low: low, high: high, example: sent})
			i = len(list) - 1
		}
		o := list[i]
		o.requests++
		if low > tolerance || high < -tolerance {
			o.outside++
			o.example = sent
		}
		o.low, o.high = max(o.low, low), min(o.high, high)
	}
	return list
}
