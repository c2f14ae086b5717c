package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// Exchange is a recorded message with its reply.
type Exchange struct {
	Line    int    // in the recording, from 1
	Service string // that handled it; "" if only its sender reported it
	Pattern micro.Pattern
	Event   bool
	Data    json.RawMessage // nil is undefined
	Reply   json.RawMessage // the last value; nil is undefined
	Values  int             // of the reply
	Error   *reported.Error // nil if the reply was none
	Took    time.Duration

	data  any // Data, decoded
	place int // among the exchanges of a recording
}

// Recording is what a file contains.
type Recording struct {
	Exchanges []*Exchange // in the order of their start
	// Cut is the number of messages that are left out because their data or reply is longer than what
	// is recorded, and Unanswered of those that are left out because they have no reply.
	Cut, Unanswered int
}

// Load reads a recording. Service, unless empty, selects the messages that it handled.
func Load(r io.Reader, service string) (*Recording, error) {
	spans := map[string]*tap.Message{}
	lines := map[string]int{}
	handled := map[string]bool{} // spans of senders whose handlers are in the recording
	err := tap.ReadRecording(r, func(line int, m *tap.Message) error {
		if m.Span == "" || m.Open || m.Kind == reported.HTTP {
			return nil
		}
		spans[m.Span], lines[m.Span] = m, line
		if m.Kind == reported.Handle {
			handled[m.Record.Parent] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := &Recording{}
	var order []string
	for span, m := range spans {
		if m.Kind == reported.Handle && (service == "" || m.Service == service) || service == "" && !handled[span] {
			order = append(order, span)
		}
	}
	slices.SortFunc(order, func(a, b string) int {
		if d := spans[a].Start - spans[b].Start; d != 0 {
			return int(max(-1, min(1, d)))
		}
		return lines[a] - lines[b]
	})
	for _, span := range order {
		if err := found.add(spans[span], lines[span]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// add adds a message if it can be replayed.
func (r *Recording) add(m *tap.Message, line int) error {
	switch {
	case m.Cut:
		r.Cut++
		return nil
	case m.Outcome != reported.OK && m.Outcome != reported.Failed:
		r.Unanswered++
		return nil
	}
	pattern, err := micro.ParsePattern(m.Pattern)
	if err != nil {
		return fmt.Errorf("line %d: the pattern %s: %w", line, m.Pattern, err)
	}
	x := &Exchange{
		Line: line, Pattern: pattern, Event: m.Event || m.Kind == reported.Emit, Data: m.Data, Reply: m.Reply, Values: m.Values,
		Error: m.Error, Took: time.Duration(max(0, m.Took)),
	}
	if m.Kind == reported.Handle {
		x.Service = m.Service
	}
	if m.Outcome == reported.Failed && x.Error == nil {
		x.Error = &reported.Error{Message: "Internal server error"}
	}
	if x.data, err = decode(m.Data); err != nil {
		return fmt.Errorf("line %d: the data: %w", line, err)
	}
	r.Exchanges = append(r.Exchanges, x)
	return nil
}

// HasSecret reports whether the data contains a secret, which is not recorded.
func (x *Exchange) HasSecret() bool { return hasSecret(x.data) }

func hasSecret(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, m := range v {
			if hasSecret(m) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasSecret)
	case string:
		return isMasked(v)
	}
	return false
}

// isMasked reports whether a text is that of a secret, or has one in a URL.
func isMasked(text string) bool { return text == masked || strings.Contains(text, ":"+masked+"@") }

// Patterns returns the patterns of the recording, in the order of their first message.
func (r *Recording) Patterns() (patterns []micro.Pattern) {
	for _, x := range r.Exchanges {
		if !slices.Contains(patterns, x.Pattern) {
			patterns = append(patterns, x.Pattern)
		}
	}
	return patterns
}

// decode decodes JSON, with numbers as they are written. Nothing is nil.
func decode(text json.RawMessage) (value any, err error) {
	if len(text) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	err = dec.Decode(&value)
	return value, err
}
