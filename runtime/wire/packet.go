// Package wire reads and writes NestJS packets as bytes (docs/wire.md), for transports and
// for programs between two peers. Package micro parses every packet with it.
package wire

import (
	"bytes"
	"errors"

	"github.com/msctl/msctl/runtime/internal/js"
)

// NoHandlerMessage is the err of the reply to a request whose pattern has no handler
// (docs/wire.md 1).
const NoHandlerMessage = "There is no matching message handler defined in the remote service."

// ConfirmPattern is the JSON text of the pattern of a request that a client of ours sends over
// TCP behind an event, to learn from the reply that the event has been read. Servers of ours
// reply without a value, and others with the error that they have no handler.
const ConfirmPattern = `"msctl.confirm"`

// ErrInvalid is the error of [Parse] for a body that is not JSON.
var ErrInvalid = errors.New("wire: packet is not valid JSON")

// Packet is a parsed envelope. Each field is the JSON text of one member, as a slice of the
// body. It is nil if the member is absent, which NestJS treats as undefined and not as null.
type Packet struct {
	// Pattern, Data, and Metadata are the members of requests and events.
	Pattern, Data, Metadata []byte
	// ID is a member of requests and replies. A packet with a pattern but no ID is an event.
	ID []byte
	// Response, Err, IsDisposed, and Status are the members of replies.
	Response, Err, IsDisposed, Status []byte

	body    []byte
	object  bool // the body is a JSON object
	foreign bool // the packet has a member that no reply has
}

// Parse checks that body is one JSON text, as JSON.parse does, and finds the members of
// the envelope. The packet refers to body, which must not be changed while the packet is
// in use. A body that is JSON but not an object is a packet without members. Bytes that
// are not valid UTF-8 are not changed; transports replace them first, as Node.js does when
// it decodes a stream. The error is [ErrInvalid].
func Parse(body []byte) (Packet, error) {
	p := Packet{body: body}
	i := js.SkipSpace(body, 0)
	if i >= len(body) || body[i] != '{' {
		if !js.Valid(body) {
			return Packet{}, ErrInvalid
		}
		return p, nil
	}
	p.object = true
	if i = js.SkipSpace(body, i+1); i < len(body) && body[i] == '}' {
		return p, checkEnd(body, i+1)
	}
	for {
		keyStart := i
		i = js.SkipKey(body, i)
		if i < 0 {
			return Packet{}, ErrInvalid
		}
		key := body[keyStart+1 : keyStart+bytes.IndexByte(body[keyStart+1:i], '"')+1]
		if bytes.IndexByte(key, '\\') >= 0 { // the quote that was found may be an escaped one
			key = js.Decode(body[keyStart:js.SkipString(body, keyStart+1)])
		}
		valueStart := js.SkipSpace(body, i)
		if i = js.SkipValue(body, valueStart); i < 0 {
			return Packet{}, ErrInvalid
		}
		p.set(key, body[valueStart:i])
		if i = js.SkipSpace(body, i); i >= len(body) {
			return Packet{}, ErrInvalid
		}
		switch body[i] {
		case ',':
			i = js.SkipSpace(body, i+1)
		case '}':
			return p, checkEnd(body, i+1)
		default:
			return Packet{}, ErrInvalid
		}
	}
}

func checkEnd(body []byte, i int) error {
	if js.SkipSpace(body, i) != len(body) {
		return ErrInvalid
	}
	return nil
}

// WholeBody returns the packet of an event whose data is the entire body
// (docs/wire.md 1.6).
func WholeBody(body []byte) *Packet { return &Packet{Data: body, body: body} }

// Body returns the bytes that the packet was parsed from.
func (p *Packet) Body() []byte { return p.body }

// set stores one member. The last of duplicate members wins, as in JSON.parse.
func (p *Packet) set(key, value []byte) {
	switch string(key) {
	case "pattern":
		p.Pattern, p.foreign = value, true
	case "data":
		p.Data, p.foreign = value, true
	case "metadata":
		p.Metadata, p.foreign = value, true
	case "id":
		p.ID = value
	case "response":
		p.Response = value
	case "err":
		p.Err = value
	case "isDisposed":
		p.IsDisposed = value
	case "status":
		p.Status = value
	default:
		p.foreign = true
	}
}

// Reply interprets the packet as a NestJS 12 client does (docs/wire.md 1.3). It returns
// the value and the error, nil if there is none, and whether the reply ends with this
// packet.
func (p *Packet) Reply() (value, err []byte, disposed bool) {
	empty := p.ID == nil && p.Response == nil && p.Err == nil && p.IsDisposed == nil && p.Status == nil
	switch {
	case !p.object || p.foreign || empty:
		return p.body, nil, true
	case js.Truthy(p.Err):
		return nil, p.Err, true
	default:
		return p.Response, nil, js.Truthy(p.IsDisposed)
	}
}

// Unfinished describes why the reply does not end with this packet, for errors: it
// completes "the last packet of the reply …". It is for packets that Reply does not
// report as disposed.
func (p *Packet) Unfinished() string {
	switch {
	case p.IsDisposed != nil:
		return `has an "isDisposed" that is not true`
	case p.Response != nil:
		return `has no "isDisposed": true`
	case p.Err != nil:
		return `has an empty "err" and no "isDisposed": true`
	}
	return `has neither "response" nor "err" nor "isDisposed": true`
}

// AppendRequest appends the body of a request packet, or of an event packet if id is nil,
// with its members in NestJS's order (docs/wire.md 1). pattern, data, metadata, and id are
// JSON texts; empty members are omitted.
func AppendRequest(dst []byte, pattern string, data, metadata, id []byte) []byte {
	dst = append(dst, `{"pattern":`...)
	dst = append(dst, pattern...)
	dst = appendMember(dst, `,"data":`, data)
	dst = appendMember(dst, `,"metadata":`, metadata)
	dst = appendMember(dst, `,"id":`, id)
	return append(dst, '}')
}

func appendMember(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	return append(append(dst, name...), value...)
}

// Reply is one packet of a reply, with its members as JSON texts. A nil Response is
// undefined.
type Reply struct {
	ID       []byte
	Response []byte
	Err      []byte
	Disposed bool
	// NoHandler marks the reply to a request without a handler. Response, Err, and
	// Disposed are ignored then.
	NoHandler bool
}

// Append appends the packet's body, its members in NestJS's order.
func (r Reply) Append(dst []byte) []byte {
	if r.NoHandler {
		dst = append(append(dst, `{"id":`...), r.ID...)
		return append(dst, `,"status":"error","err":"`+NoHandlerMessage+`"}`...)
	}
	switch {
	case r.Err != nil:
		dst = append(append(dst, `{"err":`...), r.Err...)
		dst = append(dst, `,"isDisposed":true,`...)
	case r.Response != nil && r.Disposed:
		dst = append(append(dst, `{"response":`...), r.Response...)
		dst = append(dst, `,"isDisposed":true,`...)
	case r.Response != nil:
		dst = append(append(dst, `{"response":`...), r.Response...)
		dst = append(dst, ',')
	case r.Disposed:
		dst = append(dst, `{"isDisposed":true,`...)
	default:
		dst = append(dst, '{')
	}
	dst = append(dst, `"id":`...)
	return append(append(dst, r.ID...), '}')
}

// AppendWithoutID appends the packet's body for RabbitMQ, where a message property
// identifies the request (docs/wire.md 4.2). Only the reply without a handler contains the
// id, and its members are in another order than with Append. An undefined value that is not
// the last is sent as {"isDisposed":false}, because a receiver would read {} as the last
// value {} (docs/wire.md 1.3).
func (r Reply) AppendWithoutID(dst []byte) []byte {
	if r.NoHandler {
		dst = append(append(dst, `{"id":`...), r.ID...)
		return append(dst, `,"err":"`+NoHandlerMessage+`","status":"error"}`...)
	}
	switch {
	case r.Err != nil:
		dst = append(append(dst, `{"err":`...), r.Err...)
		return append(dst, `,"isDisposed":true}`...)
	case r.Response != nil && r.Disposed:
		dst = append(append(dst, `{"response":`...), r.Response...)
		return append(dst, `,"isDisposed":true}`...)
	case r.Response != nil:
		dst = append(append(dst, `{"response":`...), r.Response...)
		return append(dst, '}')
	case r.Disposed:
		return append(dst, `{"isDisposed":true}`...)
	}
	return append(dst, `{"isDisposed":false}`...)
}

// Size returns the number of bytes that Append appends.
func (r Reply) Size() int {
	n := len(`{"id":}`) + len(r.ID)
	switch {
	case r.NoHandler:
		return n + len(`,"status":"error","err":""`) + len(NoHandlerMessage)
	case r.Err != nil:
		return n + len(`"err":,"isDisposed":true,`) + len(r.Err)
	}
	if r.Response != nil {
		n += len(`"response":,`) + len(r.Response)
	}
	if r.Disposed {
		n += len(`"isDisposed":true,`)
	}
	return n
}

// Text returns the packet of a body that is not JSON. It has no members. A server
// treats it as an event whose data is the text if the address selects the handler, and
// a client as the text itself. Bytes that are not UTF-8 become U+FFFD.
func Text(body []byte) Packet {
	text := js.AppendString(make([]byte, 0, len(body)+2), string(js.SanitizeUTF8(body)))
	return Packet{body: text}
}
