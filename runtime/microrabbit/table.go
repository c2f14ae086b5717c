package microrabbit

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// maxDepth limits how deeply tables and lists may be nested.
const maxDepth = 64

// checkTable returns an error if AMQP cannot encode the headers.
func checkTable(t map[string]any, depth int) error {
	for k, v := range t {
		if len(k) > maxShort {
			return fmt.Errorf("the name of a header is %d bytes long; AMQP allows %d", len(k), maxShort)
		}
		if err := checkField(v, depth); err != nil {
			return fmt.Errorf("header %s: %w", k, err)
		}
	}
	return nil
}

func checkField(v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("tables or lists are nested more than %d levels deep", maxDepth)
	}
	switch v := v.(type) {
	case nil, bool, string, []byte, []string, time.Time, float32, float64,
		int, int8, int16, int32, int64, uint8, uint16, uint32:
		return nil
	case map[string]any:
		return checkTable(v, depth+1)
	case []any:
		for _, item := range v {
			if err := checkField(item, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("AMQP has no type for a %T", v)
}

// appendTable appends a table that checkTable has accepted.
func appendTable(dst []byte, t map[string]any) []byte {
	return appendSized(dst, func(dst []byte) []byte {
		for k, v := range t {
			dst = appendField(appendShort(dst, k), v)
		}
		return dst
	})
}

// appendSized appends a 4-byte length and the bytes that build appends.
func appendSized(dst []byte, build func([]byte) []byte) []byte {
	at := len(dst)
	dst = build(append(dst, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4)) //nolint:gosec // far below 4 GiB
	return dst
}

func appendField(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return append(dst, 't', bit(v))
	case string:
		return appendLong(dst, 'S', v)
	case []byte:
		return appendLong(dst, 'x', string(v))
	case time.Time:
		return appendInt(dst, 'T', v.Unix())
	case float32:
		return binary.BigEndian.AppendUint32(append(dst, 'f'), math.Float32bits(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, 'd'), math.Float64bits(v))
	case map[string]any:
		return appendTable(append(dst, 'F'), v)
	case []any:
		return appendList(dst, v)
	case []string:
		return appendList(dst, v)
	}
	return appendNumber(dst, v)
}

// appendNumber appends an integer. It keeps the integer's size only if AMQP and its
// implementations agree on a type of that size.
func appendNumber(dst []byte, v any) []byte {
	switch v := v.(type) {
	case int:
		return appendInt(dst, 'l', int64(v))
	case int64:
		return appendInt(dst, 'l', v)
	case uint32:
		return appendInt(dst, 'l', int64(v))
	case int32:
		return binary.BigEndian.AppendUint32(append(dst, 'I'), uint32(v)) //nolint:gosec // the same bits
	case uint16:
		return binary.BigEndian.AppendUint32(append(dst, 'I'), uint32(v))
	case int16:
		return binary.BigEndian.AppendUint16(append(dst, 's'), uint16(v)) //nolint:gosec // the same bits
	case uint8:
		return binary.BigEndian.AppendUint16(append(dst, 's'), uint16(v))
	case int8:
		return append(dst, 'b', byte(v))
	}
	return append(dst, 'V')
}

func appendInt(dst []byte, kind byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, kind), uint64(n)) //nolint:gosec // the same bits
}

func appendLong(dst []byte, kind byte, text string) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, kind), uint32(len(text))) //nolint:gosec // far below 4 GiB
	return append(dst, text...)
}

func appendList[T any](dst []byte, list []T) []byte {
	return appendSized(append(dst, 'A'), func(dst []byte) []byte {
		for _, item := range list {
			dst = appendField(dst, item)
		}
		return dst
	})
}

// parseTable reads headers and stops at the first one that it cannot read. Nested tables
// are decoded as map[string]any, lists as []any, and numbers with their size.
func parseTable(b []byte) map[string]any {
	p := parser{rest: b}
	t, _ := p.table(0)
	return t
}

func (p *parser) table(depth int) (t map[string]any, ok bool) {
	t = map[string]any{}
	for len(p.rest) > 0 {
		key := string(p.short())
		v, ok := p.field(depth)
		if !ok || p.bad {
			return t, false
		}
		t[key] = v
	}
	return t, !p.bad
}

// field reads one value. ok is false if it cannot be read.
func (p *parser) field(depth int) (v any, ok bool) {
	switch kind := p.byte(); kind {
	case 'V':
		return nil, true
	case 't':
		return p.byte() != 0, true
	case 'S':
		return string(p.long()), true
	case 'x':
		return append([]byte{}, p.long()...), true
	case 'T':
		return time.Unix(int64(p.uint64()), 0).UTC(), true //nolint:gosec // AMQP's timestamp is unsigned
	case 'f':
		return math.Float32frombits(p.uint32()), true
	case 'd':
		return math.Float64frombits(p.uint64()), true
	case 'D':
		scale, n := p.byte(), p.uint32()
		return float64(int32(n)) / math.Pow10(int(scale)), true //nolint:gosec // the same bits
	case 'F', 'A':
		return p.nested(kind, depth)
	default:
		return p.number(kind)
	}
}

//nolint:gosec // the same bits
func (p *parser) number(kind byte) (v any, ok bool) {
	switch kind {
	case 'b':
		return int8(p.byte()), true
	case 'B':
		return p.byte(), true
	case 's':
		return int16(p.uint16()), true
	case 'u':
		return p.uint16(), true
	case 'I':
		return int32(p.uint32()), true
	case 'i':
		return p.uint32(), true
	case 'l', 'L':
		return int64(p.uint64()), true
	}
	return nil, false
}

func (p *parser) nested(kind byte, depth int) (v any, ok bool) {
	inner := parser{rest: p.long()}
	if depth >= maxDepth || p.bad {
		return nil, false
	}
	if kind == 'F' {
		return inner.table(depth + 1)
	}
	list := []any{}
	for len(inner.rest) > 0 {
		item, ok := inner.field(depth + 1)
		if !ok || inner.bad {
			return list, false
		}
		list = append(list, item)
	}
	return list, true
}
