package js

import (
	"bytes"
	"cmp"
	"slices"
)

// Canonical returns JSON.stringify(JSON.parse(raw)). raw must be valid JSON. Besides
// strings and numbers, this changes objects: members with integer-like keys come first, in
// ascending order, and a duplicate key has its last value at its first position. Nesting
// requires memory in proportion to the length of raw, but no stack.
func Canonical(raw []byte) []byte {
	return AppendCanonical(nil, raw, nil)
}

// AppendCanonical appends the canonical form of raw to dst. If order is not nil, it sorts
// the members whose keys are not integer-like.
func AppendCanonical(dst, raw []byte, order func(a, b string) int) []byte {
	raw = SanitizeUTF8(raw)
	i := SkipSpace(raw, 0)
	if c := raw[i]; c != '{' && c != '[' {
		return appendLiteral(dst, raw[i:LiteralEnd(raw, i)])
	}
	t := parseTree(raw)
	for i := range t.nodes {
		if n := &t.nodes[i]; raw[n.start] == '{' && n.child != 0 && t.nodes[n.child].next != 0 {
			t.arrange(n, order)
		}
	}
	return t.append(dst)
}

func appendLiteral(dst, lit []byte) []byte {
	switch c := lit[0]; {
	case c == '"' && bytes.IndexByte(lit, '\\') < 0:
		return append(dst, lit...)
	case c == '"':
		return AppendString(dst, string(Decode(lit)))
	case c == '-' || c-'0' <= 9:
		return AppendNumber(dst, lit, "null")
	}
	return append(dst, lit...)
}

// tree is a parsed JSON value: its nodes in the order of the text, starting with the root.
type tree struct {
	raw   []byte
	nodes []node
}

// node is one value. Its key and its text are given by offsets in the raw JSON. keyEnd is
// 0 if there is no key. child and next are indexes in tree.nodes, or 0 for none.
type node struct {
	key, keyEnd, start, end int
	child, next             int32
}

func parseTree(raw []byte) *tree {
	t := &tree{raw: raw}
	var open, last []int32 // containers around i, and the last child of each
	for i := SkipSpace(raw, 0); i < len(raw); i = SkipSpace(raw, i) {
		switch raw[i] {
		case '}', ']':
			open, last = open[:len(open)-1], last[:len(last)-1]
			i++
			continue
		case ',':
			i++
			continue
		}
		var n node
		depth := len(open)
		if depth > 0 && raw[t.nodes[open[depth-1]].start] == '{' {
			n.key, n.keyEnd = i, SkipString(raw, i+1)
			i = SkipSpace(raw, SkipSpace(raw, n.keyEnd)+1)
		}
		n.start = i
		at := int32(len(t.nodes))
		if depth > 0 {
			if prev := last[depth-1]; prev != 0 {
				t.nodes[prev].next = at
			} else {
				t.nodes[open[depth-1]].child = at
			}
			last[depth-1] = at
		}
		if raw[i] == '{' || raw[i] == '[' {
			open, last = append(open, at), append(last, 0)
			i++
		} else {
			i = LiteralEnd(raw, i)
		}
		n.end = i
		t.nodes = append(t.nodes, n)
	}
	return t
}

// arrange puts the members of an object in JavaScript's order.
func (t *tree) arrange(object *node, order func(a, b string) int) {
	type member struct {
		key  string
		node int32
	}
	var members []member
	seen := map[string]int{}
	for at := object.child; at != 0; at = t.nodes[at].next {
		key := t.key(at)
		if i, ok := seen[key]; ok {
			members[i].node = at // the last value, at the first position
			continue
		}
		seen[key] = len(members)
		members = append(members, member{key, at})
	}
	slices.SortStableFunc(members, func(a, b member) int {
		x, isIndex := ArrayIndex(a.key)
		y, isIndex2 := ArrayIndex(b.key)
		switch {
		case isIndex && isIndex2:
			return cmp.Compare(x, y)
		case isIndex:
			return -1
		case isIndex2:
			return 1
		case order != nil:
			return order(a.key, b.key)
		}
		return 0
	})
	link := &object.child
	for _, m := range members {
		*link = m.node
		link = &t.nodes[m.node].next
	}
	*link = 0
}

func (t *tree) key(at int32) string {
	n := &t.nodes[at]
	return string(Decode(t.raw[n.key:n.keyEnd]))
}

// append writes the tree as JSON.
func (t *tree) append(dst []byte) []byte {
	var open []int32
	for at := int32(0); ; {
		n := &t.nodes[at]
		if n.keyEnd > 0 {
			dst = append(appendLiteral(dst, t.raw[n.key:n.keyEnd]), ':')
		}
		switch c := t.raw[n.start]; {
		case c != '{' && c != '[':
			dst = appendLiteral(dst, t.raw[n.start:n.end])
		case n.child != 0:
			dst = append(dst, c)
			open = append(open, at)
			at = n.child
			continue
		default:
			dst = append(dst, c, c+2) // '}' is '{'+2, ']' is '['+2
		}
		for t.nodes[at].next == 0 {
			if len(open) == 0 {
				return dst
			}
			at = open[len(open)-1]
			open = open[:len(open)-1]
			dst = append(dst, t.raw[t.nodes[at].start]+2)
		}
		dst = append(dst, ',')
		at = t.nodes[at].next
	}
}
