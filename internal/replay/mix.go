package replay

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// Mix is what was sent in a recording, as the input of a load test. Each request or event is in it once, however many
// programs received it and whatever became of it.
type Mix struct {
	Kinds []*Kind // in the order of their first messages
	// Service is the service that handled the messages; "" if they were not selected. Services are all services of the
	// recording that handled messages.
	Service  string
	Services []string
	// What is left out: messages whose data is longer than what is recorded or contains secrets, which are not recorded;
	// further attempts of a request, because they are not part of the load but of a policy; and unfinished messages,
	// whose data is not known.
	Cut, Secret, Retries, Unfinished int
	// Hidden are the names of metadata that is left out because its values are secrets.
	Hidden []string
}

// Kind is the requests or the events with one pattern, in the order of their start.
type Kind struct {
	Pattern  micro.Pattern
	Event    bool
	Messages []Sent
}

// Sent is what one message contained.
type Sent struct {
	Data     json.RawMessage // nil is undefined
	Metadata map[string]string
}

// Count returns the number of messages.
func (m *Mix) Count() (n int) {
	for _, k := range m.Kinds {
		n += len(k.Messages)
	}
	return n
}

// LoadMix reads a recording. Service, unless empty, selects the messages that it handled. If it is empty, likely does so
// if it is one of the services of the recording.
func LoadMix(r io.Reader, service, likely string) (*Mix, error) {
	tape := tape{spans: map[string]*tap.Message{}, lines: map[string]int{}, packets: map[string]*tap.Message{}}
	if err := tap.ReadRecording(r, tape.add); err != nil {
		return nil, err
	}
	mix := &Mix{Service: service}
	for _, m := range tape.spans {
		if m.Kind == reported.Handle && m.Service != "" && !slices.Contains(mix.Services, m.Service) {
			mix.Services = append(mix.Services, m.Service)
		}
	}
	slices.Sort(mix.Services)
	if service == "" && slices.Contains(mix.Services, likely) {
		mix.Service = likely
	}
	kinds := map[string]*Kind{}
	for _, m := range tape.sent(mix.Service) {
		if err := mix.add(kinds, m); err != nil {
			return nil, fmt.Errorf("line %d: %w", tape.lines[m.Span], err)
		}
	}
	slices.Sort(mix.Hidden)
	return mix, nil
}

// tape is the spans of a recording.
type tape struct {
	spans   map[string]*tap.Message
	lines   map[string]int
	packets map[string]*tap.Message // of senders, by the ID of the packet
}

func (s *tape) add(line int, m *tap.Message) error {
	if m.Span == "" || m.Kind == reported.HTTP || m.Open && s.spans[m.Span] != nil {
		return nil
	}
	s.spans[m.Span], s.lines[m.Span] = m, line
	if key := m.Packet(); key != "" && m.Kind == reported.Send {
		s.packets[key] = m
	}
	return nil
}

// sender returns the message that a handler received, as its sender saw it, or nil.
func (s *tape) sender(handler *tap.Message) *tap.Message {
	if handler.Record.Parent != "" {
		return s.spans[handler.Record.Parent]
	}
	return s.packets[handler.Packet()]
}

// sent returns one record of each message that a service handled, or of all messages, in the order of their start.
func (s *tape) sent(service string) (list []*tap.Message) {
	received := map[string]bool{} // by the span of the sender, or of a handler without one
	ordered := slices.SortedFunc(maps.Values(s.spans), func(a, b *tap.Message) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(s.lines[a.Span], s.lines[b.Span]))
	})
	for _, m := range ordered {
		if m.Kind != reported.Handle {
			continue
		}
		key := cmp.Or(m.Record.Parent, m.Span)
		if from := s.sender(m); from != nil {
			key = from.Span
			m.Attempt = max(m.Attempt, from.Attempt) // services on NestJS 10 and 11 do not receive the number
		}
		if (service == "" || m.Service == service) && !received[key] {
			received[key] = true
			list = append(list, m)
		}
	}
	if service == "" {
		for _, m := range ordered {
			if m.Kind != reported.Handle && !received[m.Span] {
				list = append(list, m)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b *tap.Message) int { return cmp.Compare(a.Start, b.Start) })
	return list
}

// add adds a message, or counts it if it cannot be sent again.
func (m *Mix) add(kinds map[string]*Kind, sent *tap.Message) error {
	switch {
	case sent.Open:
		m.Unfinished++
		return nil
	case sent.Attempt > 1:
		m.Retries++
		return nil
	case !sent.HasData():
		m.Cut++
		return nil
	}
	data, err := decode(sent.Data)
	if err != nil {
		return fmt.Errorf("the data: %w", err)
	}
	if hasSecret(data) {
		m.Secret++
		return nil
	}
	pattern, err := micro.ParsePattern(sent.Pattern)
	if err != nil {
		return fmt.Errorf("the pattern %s: %w", sent.Pattern, err)
	}
	event := sent.Event || sent.Kind == reported.Emit
	key := fmt.Sprint(event, pattern.Route())
	k := kinds[key]
	if k == nil {
		k = &Kind{Pattern: pattern, Event: event}
		kinds[key] = k
		m.Kinds = append(m.Kinds, k)
	}
	k.Messages = append(k.Messages, Sent{sent.Data, m.metadata(sent)})
	return nil
}

// metadata returns the metadata of a message that can be sent again.
func (m *Mix) metadata(sent *tap.Message) (kept map[string]string) {
	for key, value := range sent.Metadata {
		switch {
		case IsOwnMetadata(key):
		case strings.Contains(value, masked):
			if !slices.Contains(m.Hidden, key) {
				m.Hidden = append(m.Hidden, key)
			}
		default:
			if kept == nil {
				kept = map[string]string{}
			}
			kept[key] = value
		}
	}
	return kept
}

// IsOwnMetadata reports whether the metadata with this name belongs to one request, and is not sent with another one.
func IsOwnMetadata(key string) bool {
	switch key {
	case micro.MetaCorrelationID, micro.MetaTraceparent, micro.MetaTimeout, micro.MetaAttempt, reported.Key:
		return true
	}
	return false
}
