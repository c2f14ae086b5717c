package plain

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// members sorts the members of a map. Each is first appended to the buffer in the order of
// iteration. close copies them, sorted, to the end of the buffer and from there back to the
// start, so that no second lookup and no memory besides the buffer is required.
type members struct {
	list  []member
	start int // of the first member
}

type member struct {
	key        string
	start, end int // its bytes in the buffer, `"key":value`
}

var membersPool = sync.Pool{New: func() any { return new(members) }}

func newMembers(start int) *members {
	m := membersPool.Get().(*members)
	m.start = start
	return m
}

// release returns m to the pool without its keys, and drops it if it is large.
func (m *members) release() {
	clear(m.list)
	m.list = m.list[:0]
	if cap(m.list) <= 1024 {
		membersPool.Put(m)
	}
}

// key appends the key of the next member, which done completes. A key that is not UTF-8 is
// left to the library: once it is made valid, it may equal another key.
func (m *members) key(dst []byte, key string) ([]byte, bool) {
	if !utf8.ValidString(key) {
		return dst, false
	}
	m.list = append(m.list, member{key: key, start: len(dst)})
	return append(appendString(dst, key), ':'), true
}

func (m *members) done(dst []byte) { m.list[len(m.list)-1].end = len(dst) }

// close sorts the members, separates them with commas, and closes the object.
func (m *members) close(dst []byte) []byte {
	if len(m.list) <= 1 {
		return append(dst, '}')
	}
	slices.SortFunc(m.list, func(a, b member) int { return strings.Compare(a.key, b.key) })
	end := len(dst)
	for _, one := range m.list {
		dst = append(dst, dst[one.start:one.end]...)
		dst = append(dst, ',')
	}
	n := copy(dst[m.start:], dst[end:])
	dst = dst[:m.start+n]
	dst[len(dst)-1] = '}' // the last comma
	return dst
}

func stringMap(dst []byte, values map[string]string) ([]byte, bool) {
	dst = append(dst, '{')
	m := newMembers(len(dst))
	defer m.release()
	var ok bool
	for key, v := range values {
		if dst, ok = m.key(dst, key); !ok {
			return dst, false
		}
		dst = appendString(dst, v)
		m.done(dst)
	}
	return m.close(dst), true
}

func (e *encoder) objectMap(dst []byte, values map[string]any, depth int) ([]byte, bool) {
	dst = append(dst, '{')
	m := newMembers(len(dst))
	defer m.release()
	var ok bool
	for key, v := range values {
		if dst, ok = m.key(dst, key); !ok {
			return dst, false
		}
		if dst, ok = e.any(dst, v, depth+1); !ok {
			return dst, false
		}
		m.done(dst)
	}
	return m.close(dst), true
}

// A pair holds one member of a map that reflection reads or writes.
type pair struct {
	key, elem reflect.Value
	address   unsafe.Pointer // of elem
}

func newPair(key, elem reflect.Type) *pair {
	v := reflect.New(elem)
	return &pair{key: reflect.New(key).Elem(), elem: v.Elem(), address: v.UnsafePointer()}
}

// release returns a pair to n's pool without its values.
func (n *node) release(at *pair) {
	at.key.SetZero()
	at.elem.SetZero()
	n.pairs.Put(at)
}

func (e *encoder) reflectMap(dst []byte, n *node, p unsafe.Pointer, depth int) ([]byte, bool) {
	values := reflect.NewAt(n.typ, p).Elem()
	dst = append(dst, '{')
	m, at := newMembers(len(dst)), n.pairs.Get().(*pair)
	defer m.release()
	defer n.release(at)
	var ok bool
	for i := values.MapRange(); i.Next(); {
		at.key.SetIterKey(i)
		at.elem.SetIterValue(i)
		if dst, ok = m.key(dst, at.key.String()); !ok {
			return dst, false
		}
		if dst, ok = e.value(dst, n.elem, at.address, depth+1); !ok {
			return dst, false
		}
		m.done(dst)
	}
	return m.close(dst), true
}
