package replay

import (
	"encoding/json"
	"reflect"

	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// masked is what stands for a secret in a recording. It equals every value.
const masked = "***"

// Matcher finds the recorded exchange for a message. It is used by one goroutine at a time.
type Matcher struct {
	byPattern map[micro.Pattern][]*Exchange
	used      map[*Exchange]int
	nearest   bool
}

// NewMatcher returns a matcher. With nearest, a message whose data is not in the recording matches the
// one with the same pattern whose data differs the least.
func NewMatcher(r *Recording, nearest bool) *Matcher {
	m := &Matcher{byPattern: map[micro.Pattern][]*Exchange{}, used: map[*Exchange]int{}, nearest: nearest}
	for _, x := range r.Exchanges {
		m.byPattern[x.Pattern] = append(m.byPattern[x.Pattern], x)
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
	var best *Exchange
	least := -1
	for _, x := range m.byPattern[p] {
		d := distance(x.data, value)
		if d > 0 && !m.nearest {
			continue
		}
		if d *= 2; d > 0 && x.Error != nil {
			d++ // other data has probably another outcome
		}
		if least < 0 || d < least || d == least && m.used[best] > 0 {
			best, least = x, d
		}
	}
	if best != nil {
		m.used[best]++
	}
	return best
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
