package micro

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// NoHandlerMessage is the err of the reply to a request whose pattern nobody
// handles (docs/wire.md 1).
const NoHandlerMessage = "There is no matching message handler defined in the remote service."

// ErrBadPacket tells that a packet's body is not JSON.
var ErrBadPacket = errors.New("micro: packet is not valid JSON")

// Packet is a decoded envelope: each field holds the JSON text of one member,
// a slice of the body it was parsed from, and is nil where the member is
// absent (undefined to NestJS, which is not the same as null).
type Packet struct {
	// Of requests and events. A packet without ID is an event.
	Pattern, Data, Metadata []byte
	// Of both.
	ID []byte
	// Of replies.
	Response, Err, IsDisposed, Status []byte

	body    []byte
	object  bool // the body is a JSON object
	foreign bool // it has a member that no reply packet has
}

// ParsePacket checks that body is one JSON text, as JSON.parse would, and finds
// the members of the envelope. The packet refers to body and is valid for as
// long as body is left alone. A body that is JSON but no object gives a packet
// without members. Bytes that are not UTF-8 are left as they are: transports
// that do not know better call SanitizeUTF8 first, as Node does when it reads a
// stream. The error is ErrBadPacket.
func ParsePacket(body []byte) (Packet, error) {
	p := Packet{body: body}
	i := skipSpace(body, 0)
	if i >= len(body) || body[i] != '{' {
		if !validJSON(body) {
			return Packet{}, ErrBadPacket
		}
		return p, nil
	}
	p.object = true
	if i = skipSpace(body, i+1); i < len(body) && body[i] == '}' {
		return p, checkEnd(body, i+1)
	}
	for {
		keyStart := i
		i = skipKey(body, i)
		if i < 0 {
			return Packet{}, ErrBadPacket
		}
		key := body[keyStart+1 : keyStart+bytes.IndexByte(body[keyStart+1:i], '"')+1]
		if bytes.IndexByte(key, '\\') >= 0 {
			key = unescapeKey(body[keyStart:i])
		}
		valueStart := skipSpace(body, i)
		if i = skipValue(body, valueStart); i < 0 {
			return Packet{}, ErrBadPacket
		}
		p.set(key, body[valueStart:i])
		if i = skipSpace(body, i); i >= len(body) {
			return Packet{}, ErrBadPacket
		}
		switch body[i] {
		case ',':
			i = skipSpace(body, i+1)
		case '}':
			return p, checkEnd(body, i+1)
		default:
			return Packet{}, ErrBadPacket
		}
	}
}

// unescapeKey decodes a member name that holds escapes; member is the name in
// its quotes, and what follows it up to the colon.
func unescapeKey(member []byte) []byte {
	var key string
	if err := defaultCodec.Unmarshal(member[:skipString(member, 1)], &key); err != nil {
		return nil
	}
	return []byte(key)
}

func checkEnd(body []byte, i int) error {
	if skipSpace(body, i) != len(body) {
		return ErrBadPacket
	}
	return nil
}

// set stores one member; of duplicates the last wins, as in JSON.parse.
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

// Reply tells what a NestJS 12 client makes of the packet (docs/wire.md 1.3):
// a value if there is one, an error if there is one, and whether the answer
// ends here.
func (p *Packet) Reply() (value, err []byte, disposed bool) {
	empty := p.ID == nil && p.Response == nil && p.Err == nil && p.IsDisposed == nil && p.Status == nil
	switch {
	case !p.object || p.foreign || empty:
		return p.body, nil, true
	case truthy(p.Err):
		return nil, p.Err, true
	default:
		return p.Response, nil, truthy(p.IsDisposed)
	}
}

// rebase returns the part of to that part is of from; to is a copy of from.
func rebase(part, from, to []byte) []byte {
	if part == nil {
		return nil
	}
	start := cap(from) - cap(part)
	return to[start : start+len(part) : start+len(part)]
}

// SanitizeUTF8 returns body with every malformed sequence replaced by U+FFFD,
// one for each maximal subpart, as Node's decoder does (docs/wire.md 3.2). A
// valid body is returned as it is.
func SanitizeUTF8(body []byte) []byte {
	if utf8.Valid(body) {
		return body
	}
	out := make([]byte, 0, len(body)+16)
	for len(body) > 0 {
		n, ok := NextUTF8(body)
		if ok {
			out = append(out, body[:n]...)
		} else {
			out = append(out, "\uFFFD"...)
		}
		body = body[n:]
	}
	return out
}

// NextUTF8 returns the length of the first character of b and whether it is
// well-formed; of a malformed one, the length of its maximal subpart: the bytes
// one U+FFFD stands for. A sequence cut short by the end of b counts as
// malformed. b must not be empty.
func NextUTF8(b []byte) (n int, ok bool) {
	need, low, high := utf8Lead(b[0])
	if need < 2 {
		return 1, need == 1
	}
	for n = 1; n < need; n++ {
		if n >= len(b) || b[n] < low || b[n] > high {
			return n, false
		}
		low, high = 0x80, 0xBF
	}
	return n, true
}

// utf8Lead tells how many bytes a sequence has that starts with c (0: no
// sequence does), and the range of its second byte.
func utf8Lead(c byte) (need int, low, high byte) {
	switch {
	case c < 0x80:
		return 1, 0, 0
	case c < 0xC2:
		return 0, 0, 0
	case c < 0xE0:
		return 2, 0x80, 0xBF
	case c == 0xE0:
		return 3, 0xA0, 0xBF
	case c == 0xED:
		return 3, 0x80, 0x9F
	case c < 0xF0:
		return 3, 0x80, 0xBF
	case c == 0xF0:
		return 4, 0x90, 0xBF
	case c < 0xF4:
		return 4, 0x80, 0xBF
	case c == 0xF4:
		return 4, 0x80, 0x8F
	}
	return 0, 0, 0
}

// AppendRequest appends the body of a request packet, or of an event packet
// when id is nil, with the members in NestJS' order (docs/wire.md 1). pattern,
// data, metadata and id are JSON texts; a nil data or metadata is left out.
func AppendRequest(dst []byte, pattern string, data, metadata, id []byte) []byte {
	dst = append(dst, `{"pattern":`...)
	dst = append(dst, pattern...)
	dst = appendMember(dst, `,"data":`, data)
	dst = appendMember(dst, `,"metadata":`, metadata)
	dst = appendMember(dst, `,"id":`, id)
	return append(dst, '}')
}

func appendMember(dst []byte, name string, value []byte) []byte {
	if value == nil {
		return dst
	}
	return append(append(dst, name...), value...)
}

// ReplyPacket is one packet of an answer, its members as JSON texts; a nil
// Response is undefined.
type ReplyPacket struct {
	ID       []byte
	Response []byte
	Err      []byte
	Disposed bool
	// NoHandler marks the reply to a request nobody handles; Response, Err and
	// Disposed are not looked at then.
	NoHandler bool
}

// Append appends the packet's body, its members in NestJS' order.
func (r ReplyPacket) Append(dst []byte) []byte {
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

// AppendWithoutID appends the packet's body as RabbitMQ carries it, where a
// message property ties the reply to its request (docs/wire.md 4.2): without the
// id, and with the keys of the reply to an unknown pattern, which does have it,
// in another order. Undefined that is not the last value says that it is not the
// end: the packet {} would be the value {}, and the end (docs/wire.md 1.3).
func (r ReplyPacket) AppendWithoutID(dst []byte) []byte {
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

// Size returns the length in bytes of what Append appends.
func (r ReplyPacket) Size() int {
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

// RouteJSON returns the pattern's route as a JSON string, the form in which TCP
// events carry their pattern (docs/wire.md 2.4).
func (p Pattern) RouteJSON() string { return string(appendJSONString(nil, p.Route())) }
