package observe

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
	"github.com/msctl/msctl/runtime/wire"
)

// The limits of what is recorded of a message, apart from its data.
const (
	maxText     = 4 << 10  // bytes of a pattern and of an error
	maxID       = 256      // bytes of an ID
	maxPairs    = 64       // of the metadata
	maxMetadata = 16 << 10 // bytes of it
)

// sent is a message on its way to a receiver.
type sent struct {
	service   string // the place that it was sent to
	transport string // see tap.Record
	peer      string
	pattern   string // JSON text
	id        []byte // JSON text
	data      []byte // JSON text
	metadata  map[string]string
	failure   string // why nothing will receive it; "" if something may
	hidden    bool   // it is not shown
	tracked   bool   // it will be known whether a consumer receives it
}

// asReply returns the description of a reply without its request: its value is not the data of a message.
func (s *sent) asReply() *sent {
	s.data = nil
	return s
}

// message returns the record of a message that is sent now.
func (s *sent) message(now time.Time) tap.Message {
	m := tap.Message{Service: cut(s.service, maxID)}
	m.Kind = reported.Handle
	ref := s.ref()
	m.Trace, m.Span = ref.Trace(), ref.Span()
	if cause, ok := reported.ParseRef(s.metadata[reported.Key]); ok {
		m.Record.Parent = cause.Span()
	}
	m.Pattern, m.Transport, m.Peer, m.Start = s.pattern, s.transport, s.peer, now.UnixNano()
	if len(s.id) > 0 && len(s.id) <= maxID && json.Valid(s.id) {
		m.ID = slices.Clone(s.id)
	}
	m.Correlation = cut(s.metadata[micro.MetaCorrelationID], maxID)
	if n, err := strconv.Atoi(s.metadata[micro.MetaAttempt]); err == nil && n > 1 {
		m.Attempt = n
	}
	m.Metadata = masked(s.metadata)
	if len(s.data) > 0 {
		m.In = len(s.data)
		m.Data, m.Cut = recorded(s.data)
	}
	return m
}

// ref returns a new span in the trace that the message carries, or in a new one.
func (s *sent) ref() reported.Ref {
	if cause, ok := reported.ParseRef(s.metadata[reported.Key]); ok {
		return reported.NewRef(cause)
	}
	return reported.NewRef(reported.TraceOf(s.metadata[micro.MetaTraceparent]))
}

// newRef returns a new span in the trace of a message.
func newRef(m *tap.Message) reported.Ref {
	cause, _ := reported.ParseRef(m.Trace + "-" + m.Span)
	return reported.NewRef(cause)
}

// timeout returns how long the sender of a message waits, if the message has it.
func timeout(metadata map[string]string) (time.Duration, bool) {
	ms, err := strconv.ParseInt(metadata[micro.MetaTimeout], 10, 64)
	const most = 24 * 60 * 60 * 1000
	if err != nil || ms < 0 || ms > most {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// recorded returns JSON text as a record has it: without secrets, and with at most as much of it as
// reporters record.
func recorded(text []byte) (json.RawMessage, bool) {
	isCut := len(text) > reported.DefaultBody
	body := reported.Body(text[:min(len(text), reported.DefaultBody+utf8.UTFMax)], reported.DefaultBody)
	if json.Valid(body) {
		return body, isCut
	}
	quoted, err := json.Marshal(string(body)) // it is too deep for programs that read records
	if err != nil {
		return nil, true
	}
	return quoted, true
}

// parse parses a body as the receivers of brokers do. What is not JSON is a text.
func parse(body []byte) wire.Packet {
	text := valid(body)
	p, err := wire.Parse(text)
	if err != nil {
		return wire.Text(text)
	}
	return p
}

// valid returns a body as UTF-8, without a byte order mark.
func valid(body []byte) []byte {
	return bytes.ToValidUTF8(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF")), []byte("\uFFFD"))
}

// isMessage reports whether a packet is a request or an event, rather than a reply or something else.
func isMessage(p *wire.Packet) bool { return p.Pattern != nil || p.Data != nil }

// dataOf returns the data of a message: that of a packet, or the entire body (docs/wire.md 1.6).
func dataOf(p *wire.Packet) []byte {
	if isMessage(p) {
		return p.Data
	}
	return p.Body()
}

// idOf returns the text by which the ID of a packet is compared; "" without one.
func idOf(p *wire.Packet) string { return string(bytes.TrimSpace(p.ID)) }

// pattern returns the pattern of a packet as a record has it.
func pattern(raw []byte) string {
	if len(raw) <= maxText {
		if p, err := micro.ParsePattern(string(raw)); err == nil {
			return p.JSON()
		}
	}
	return micro.Name(cut(string(raw), maxText)).JSON()
}

// addressed returns the pattern of a message whose address selects its handler: that of the packet if
// it has this address, and the address itself otherwise (docs/wire.md 2.3).
func addressed(address string, raw []byte) string {
	if len(raw) > 0 && len(raw) <= maxText {
		if p, err := micro.ParsePattern(string(raw)); err == nil && p.Route() == address {
			return p.JSON()
		}
	}
	if strings.HasPrefix(address, "{") && len(address) <= maxText {
		if p, err := micro.ParsePattern(address); err == nil {
			return p.JSON()
		}
	}
	return micro.Name(cut(address, maxText)).JSON()
}

// isReserved reports whether a route is one that every server of the runtime handles.
func isReserved(route string) bool {
	for _, p := range []micro.Pattern{micro.HealthPattern, micro.DescribePattern} {
		if rest, ok := strings.CutPrefix(route, p.Route()); ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return strconv.Quote(route) == wire.ConfirmPattern
}

// isNotice reports whether a packet is one with which programs of the runtime tell each other about
// their connections.
func isNotice(p *wire.Packet) bool {
	return bytes.HasPrefix(p.ID, []byte(`"msctl.`)) && !isMessage(p)
}

// metadataOf returns the metadata of a packet, which is a JSON object, and of headers, which take
// precedence. It is not masked yet.
func metadataOf(raw []byte, headers map[string]string) map[string]string {
	var members map[string]json.RawMessage
	if len(raw) <= maxMetadata && len(raw) > 0 {
		_ = json.Unmarshal(raw, &members) // without an object, there is none
	}
	if len(members)+len(headers) == 0 {
		return nil
	}
	all := make(map[string]string, len(members)+len(headers))
	for k, v := range members {
		var text string
		if json.Unmarshal(v, &text) != nil {
			text = string(v)
		}
		all[k] = text
	}
	maps.Copy(all, headers)
	return all
}

// masked returns metadata as a record has it.
func masked(all map[string]string) map[string]string {
	if len(all) == 0 {
		return nil
	}
	out, size := map[string]string{}, 0
	for _, k := range slices.Sorted(maps.Keys(all)) {
		key, value := cut(k, maxID), reported.MaskPair(k, cut(all[k], maxText))
		if size += len(key) + len(value); len(out) == maxPairs || size > maxMetadata {
			break
		}
		out[key] = value
	}
	return out
}

// cut returns the beginning of a text, as valid UTF-8.
func cut(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
