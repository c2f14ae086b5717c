package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// masked is what stands for a secret in a recording. It equals every value.
const masked = "***"

// Matcher finds the recorded exchange for a message. It is used by one goroutine at a time. The cost of
// finding the same data does not depend on the length of the recording.
type Matcher struct {
	byPattern map[micro.Pattern][]*Exchange
	same      map[key]*group                // exchanges without a secret, by their data
	secret    map[micro.Pattern][]*Exchange // those with a secret, which have to be compared
	used      map[*Exchange]int
	nearest   bool
}

// key identifies a pattern and data, by its canonical form.
type key struct {
	pattern micro.Pattern
	data    string
}

// group is exchanges with the same data, in the recorded order. All before next have been used.
type group struct {
	exchanges []*Exchange
	next      int
}

// NewMatcher returns a matcher. With nearest, a message whose data is not in the recording matches the
// one with the same pattern whose data differs the least.
func NewMatcher(r *Recording, nearest bool) *Matcher {
	m := &Matcher{
		byPattern: map[micro.Pattern][]*Exchange{}, same: map[key]*group{}, secret: map[micro.Pattern][]*Exchange{},
		used: map[*Exchange]int{}, nearest: nearest,
	}
	for i, x := range r.Exchanges {
		x.place = i
		m.byPattern[x.Pattern] = append(m.byPattern[x.Pattern], x)
		if hasWildcard(x.data) {
			m.secret[x.Pattern] = append(m.secret[x.Pattern], x)
			continue
		}
		k := key{x.Pattern, string(appendCanonical(nil, x.data))}
		g := m.same[k]
		if g == nil {
			g = &group{}
			m.same[k] = g
		}
		g.exchanges = append(g.exchanges, x)
	}
	return m
}

// Match returns the exchange for a message, or nil. Of several with the same data, each is used in
// turn, in the recorded order, and the last one from then on.
func (m *Matcher) Match(p micro.Pattern, data json.RawMessage) *Exchange {
	value, err := decode(data)
	if err != nil {
		return nil
	}
	best := m.next(m.candidates(p, value))
	if best == nil && m.nearest {
		best = m.closest(p, value)
	}
	if best != nil {
		m.used[best]++
	}
	return best
}

// candidates returns the exchanges whose data equals a value, without those that next would not return.
func (m *Matcher) candidates(p micro.Pattern, value any) (list []*Exchange) {
	for _, x := range m.secret[p] {
		if distance(x.data, value) == 0 {
			list = append(list, x)
		}
	}
	g := m.same[key{p, string(appendCanonical(nil, value))}]
	if g == nil {
		return list
	}
	for g.next < len(g.exchanges)-1 && m.used[g.exchanges[g.next]] > 0 {
		g.next++
	}
	list = append(list, g.exchanges[g.next])
	if last := g.exchanges[len(g.exchanges)-1]; last != g.exchanges[g.next] {
		list = append(list, last)
	}
	return list
}

// next returns the first exchange that has not been used, or the last one; nil if there is none.
func (m *Matcher) next(list []*Exchange) (best *Exchange) {
	slices.SortFunc(list, func(a, b *Exchange) int { return a.place - b.place })
	for _, x := range list {
		if best == nil || m.used[best] > 0 {
			best = x
		}
	}
	return best
}

// closest returns the exchange whose data differs the least from a value.
func (m *Matcher) closest(p micro.Pattern, value any) (best *Exchange) {
	least := -1
	for _, x := range m.byPattern[p] {
		d := 2 * distance(x.data, value)
		if x.Error != nil {
			d++ // other data has probably another outcome
		}
		if least < 0 || d < least || d == least && m.used[best] > 0 {
			best, least = x, d
		}
	}
	return best
}

// hasWildcard reports whether a recorded value equals several others, because it contains a secret.
func hasWildcard(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, m := range v {
			if hasWildcard(m) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasWildcard)
	case string:
		return v == masked
	}
	return false
}

// appendCanonical appends a form of a decoded value that is the same for values that are equal.
func appendCanonical(dst []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		dst = append(dst, '{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			dst = append(strconv.AppendQuote(dst, name), ':')
			dst = append(appendCanonical(dst, v[name]), ',')
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for _, e := range v {
			dst = append(appendCanonical(dst, e), ',')
		}
		return append(dst, ']')
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return append(dst, v...)
		}
		return strconv.AppendFloat(dst, f+0, 'g', -1, 64) // -0 + 0 is 0
	case string:
		return strconv.AppendQuote(dst, v)
	}
	return fmt.Append(dst, v) // true, false, or nil
}

// distance counts the leaves in which two values differ.
func distance(recorded, sent any) int {
	if recorded == masked {
		return 0
	}
	switch recorded := recorded.(type) {
	case map[string]any:
		sent, ok := sent.(map[string]any)
		if !ok {
			return leaves(recorded) + 1
		}
		n := 0
		for name, v := range recorded {
			if other, ok := sent[name]; ok {
				n += distance(v, other)
			} else {
				n += leaves(v)
			}
		}
		for name, v := range sent {
			if _, ok := recorded[name]; !ok {
				n += leaves(v)
			}
		}
		return n
	case []any:
		sent, ok := sent.([]any)
		if !ok {
			return leaves(recorded) + 1
		}
		n := 0
		for i := range max(len(recorded), len(sent)) {
			switch {
			case i >= len(sent):
				n += leaves(recorded[i])
			case i >= len(recorded):
				n += leaves(sent[i])
			default:
				n += distance(recorded[i], sent[i])
			}
		}
		return n
	}
	if equal(recorded, sent) {
		return 0
	}
	return leaves(sent)
}

func leaves(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for _, m := range v {
			n += leaves(m)
		}
	case []any:
		for _, e := range v {
			n += leaves(e)
		}
	}
	return max(n, 1)
}

// equal compares two leaves. Numbers are equal if their values are.
func equal(a, b any) bool {
	x, ok := a.(json.Number)
	y, also := b.(json.Number)
	if ok && also {
		m, err := x.Float64()
		n, err2 := y.Float64()
		return x == y || err == nil && err2 == nil && m == n
	}
	return reflect.DeepEqual(a, b)
}

// Fill returns a recorded reply for a message with other data: a value that the reply has from the
// recorded data, such as an ID, is replaced with the one at the same place of this data.
func (x *Exchange) Fill(data json.RawMessage) json.RawMessage {
	sent, err := decode(data)
	if err != nil || len(x.Reply) == 0 {
		return x.Reply
	}
	replaced := map[string]any{}
	pairs(x.data, sent, func(recorded, sent any) {
		if text, ok := recorded.(string); ok && text != masked && !equal(recorded, sent) {
			replaced[text] = sent
		}
	})
	if len(replaced) == 0 {
		return x.Reply
	}
	reply, err := decode(x.Reply)
	if err != nil {
		return x.Reply
	}
	filled, err := json.Marshal(substitute(reply, replaced))
	if err != nil {
		return x.Reply
	}
	return filled
}

// pairs calls visit for the leaves at the same places of two values.
func pairs(a, b any, visit func(a, b any)) {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			for name, v := range a {
				if other, ok := b[name]; ok {
					pairs(v, other, visit)
				}
			}
		}
	case []any:
		if b, ok := b.([]any); ok {
			for i := range min(len(a), len(b)) {
				pairs(a[i], b[i], visit)
			}
		}
	default:
		switch b.(type) {
		case map[string]any, []any:
		default:
			visit(a, b)
		}
	}
}

// substitute replaces strings in a value.
func substitute(v any, with map[string]any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, m := range v {
			v[name] = substitute(m, with)
		}
	case []any:
		for i, e := range v {
			v[i] = substitute(e, with)
		}
	case string:
		if other, ok := with[v]; ok {
			return other
		}
	}
	return v
}

// Payload returns the recorded error as a service sends it.
func Payload(e *reported.Error, reply json.RawMessage) error {
	if len(reply) > 0 {
		return micro.RemoteError(reply)
	}
	if e.Status == 0 {
		text, err := json.Marshal(e.Message)
		if err != nil {
			return err
		}
		return micro.RemoteError(text)
	}
	return micro.Errorf(e.Status, "%s", e.Message)
}
