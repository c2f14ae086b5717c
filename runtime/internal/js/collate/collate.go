// Package collate orders keys as JavaScript's String.prototype.localeCompare does in
// the root locale.
package collate

import (
	"cmp"
	"slices"
	"sync"
	"unicode/utf8"
)

//go:generate go run ./internal/gen -o table.go

// asciiOrder lists the ASCII characters in ascending order. Control characters that are
// not in it are ignored. The case of letters is compared last, with lower case first
// (docs/wire.md 2.2).
const asciiOrder = "\t\n\v\f\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789" +
	"aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ"

// asciiPrimary is the position of each character in asciiOrder, counting from 1, or 0 if
// the character is ignored. Both cases of a letter share the position of the lower case.
var asciiPrimary = func() (primary [utf8.RuneSelf]uint8) {
	for i, c := range []byte(asciiOrder) {
		primary[c] = uint8(i + 1)
		if 'A' <= c && c <= 'Z' {
			primary[c] = primary[c|0x20]
		}
	}
	return primary
}()

// Compare compares two keys as JavaScript's a.localeCompare(b) does in a process with the
// English or the root locale: by ICU's root collation, which compares letters before
// accents and accents before case. It returns 0 for some keys that are not identical,
// such as é and e followed by U+0301.
//
// ASCII keys are compared by rule, and all others with a table of the root collation of
// ICU 78 (Unicode 17). The table covers every assigned character, including canonical
// decomposition, contractions, and expansions, with these exceptions:
//
//   - Ideographs of the supplementary planes (extensions B and later) sort after all
//     other ideographs, in code point order instead of by radical and stroke.
//   - The noncharacter U+FDD1, with which ICU marks the start of scripts, counts as
//     unassigned.
//   - Only the first 64 KiB of a key that is not ASCII are compared, and only 30 marks of
//     a run of combining marks can be part of a contraction.
//   - After the few letters that contract with a mark (и, ا, و, and ي among them), ICU
//     sometimes violates its own rule that canonically equivalent texts compare equal, if
//     rare marks follow in an order that is not canonical. Compare follows the rule.
//
// Unassigned characters, private-use characters, and lone surrogates sort after all of
// these, in code point order, as in ICU.
//
// Locales with another order (Danish, Czech, Estonian, Swedish, …) are not supported: a
// NestJS process with such a locale computes different routes.
func Compare(a, b string) int {
	if isASCII(a) && isASCII(b) {
		return compareASCII(a, b)
	}
	table := collation()
	return compareElements(table.elements(a), table.elements(b))
}

// SortStable sorts list by the keys of its elements, in the order of [Compare]. Elements
// with equal keys keep their order. Each key is converted to weights only once.
func SortStable[T any](list []T, key func(T) string) {
	if !slices.ContainsFunc(list, func(v T) bool { return !isASCII(key(v)) }) {
		slices.SortStableFunc(list, func(a, b T) int { return compareASCII(key(a), key(b)) })
		return
	}
	table, elements := collation(), make(map[string][]uint64, len(list))
	for _, v := range list {
		elements[key(v)] = table.elements(key(v))
	}
	slices.SortStableFunc(list, func(a, b T) int { return compareElements(elements[key(a)], elements[key(b)]) })
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// compareASCII compares two ASCII keys exactly as ICU does, without the table.
func compareASCII(a, b string) int {
	cased := 0 // the order of the first letters that differ only in case
	for i, j := 0, 0; ; i, j = i+1, j+1 {
		for i < len(a) && asciiPrimary[a[i]] == 0 {
			i++
		}
		for j < len(b) && asciiPrimary[b[j]] == 0 {
			j++
		}
		switch {
		case i == len(a) && j == len(b):
			return cased
		case i == len(a):
			return -1
		case j == len(b):
			return 1
		}
		if c := cmp.Compare(asciiPrimary[a[i]], asciiPrimary[b[j]]); c != 0 {
			return c
		}
		if cased == 0 {
			cased = cmp.Compare(b[j], a[i]) // reversed, since lower case has the higher code
		}
	}
}

// collation returns the table, which is unpacked on first use.
var collation = sync.OnceValue(loadCollation)

// collationTable is the unpacked table.
type collationTable struct {
	pages      []uint16 // by code point / 256: the page in entries, or 0 for none
	entries    []uint32 // by page and code point % 256
	lists      []uint32 // elements of characters that do not have exactly one
	contexts   map[rune][]collationContext
	decomposed map[rune][]rune
	classes    map[rune]uint8 // rank of the canonical combining class; 0 for a starter
	common     uint64         // secondary and tertiary weights of an ordinary character
	ideographs uint64         // the first primary weight after those of the ideographs
}

// An element consists of a primary weight of 16 bits, a secondary weight of 9, and a
// tertiary weight of 5. A weight of 0 is ignored. An entry is an element; or a flag with
// the offset and the length of a list of elements; or 0 for a character that is not in the
// table. Elements are compared in 64 bits, which leaves room for the primary weights of
// such characters.
const (
	primaryShift   = 14
	secondaryShift = 5
	secondaryMask  = 1<<9 - 1
	tertiaryMask   = 1<<5 - 1

	entryHasContexts = 1 << 31
	entryIsList      = 1 << 30
	listShift        = 8
	listMask         = 1<<listShift - 1
)

// collationContext replaces the elements of a character that follows prefix or precedes
// suffix.
type collationContext struct {
	prefix   rune // 0 for none
	suffix   []rune
	elements uint32 // an entry
}

// compareElements compares all primary weights first, then the secondary, and then the
// tertiary weights.
func compareElements(a, b []uint64) int {
	if c := compareLevel(a, b, primaryShift, 1<<40-1); c != 0 {
		return c
	}
	if c := compareLevel(a, b, secondaryShift, secondaryMask); c != 0 {
		return c
	}
	return compareLevel(a, b, 0, tertiaryMask)
}

func compareLevel(a, b []uint64, shift int, mask uint64) int {
	next := func(s *[]uint64) (w uint64) {
		for len(*s) > 0 && w == 0 {
			w = (*s)[0] >> shift & mask
			*s = (*s)[1:]
		}
		return w
	}
	for {
		x, y := next(&a), next(&b)
		if x != y || x == 0 {
			return cmp.Compare(x, y)
		}
	}
}

const (
	maxCollated   = 64 << 10 // bytes of a key that are compared
	maxMarks      = 30       // combining marks that are tried for a contraction
	maxCodePoints = 1 << 21
)

// elements returns the collation elements of key (WTF-8).
func (t *collationTable) elements(key string) []uint64 {
	text := t.decompose(key[:min(len(key), maxCollated)])
	out := make([]uint64, 0, len(text)+8)
	for i := 0; i < len(text); {
		entry, n := t.entry(text[i]), 1
		if entry&entryHasContexts != 0 {
			entry, n = t.inContext(text, i, entry)
		}
		switch {
		case entry == 0:
			out = append(out, t.unknown(text[i]))
		case entry&entryIsList == 0:
			out = append(out, t.widen(entry))
		default:
			at := entry &^ entryIsList
			for _, e := range t.lists[at>>listShift:][:at&listMask] {
				out = append(out, t.widen(e))
			}
		}
		i += n
	}
	return out
}

func (t *collationTable) entry(c rune) uint32 {
	if page := t.pages[c>>8]; page != 0 {
		return t.entries[int(page)<<8|int(c&0xff)]
	}
	return 0
}

// widen converts an element to 64 bits. The few primary weights after the ideographs
// (those of U+FFFD and U+FFFF) move up to make room for characters without an entry.
func (t *collationTable) widen(element uint32) uint64 {
	e := uint64(element)
	if e>>primaryShift >= t.ideographs {
		e += 2 * maxCodePoints << primaryShift
	}
	return e
}

// unknown returns the element of a character without an entry. These characters sort after
// the ideographs of the table, in code point order, with the other ideographs first.
func (t *collationTable) unknown(c rune) uint64 {
	p := t.ideographs + uint64(c)
	if c < 0x20000 || c > 0x3FFFF { // not an ideograph
		p += maxCodePoints
	}
	return p<<primaryShift | t.common
}

// inContext returns the entry of the character at i in its context, and the number of
// characters that the entry covers. A later mark that is not blocked can complete a
// contraction; inContext then moves the mark to its place in the contraction.
func (t *collationTable) inContext(text []rune, i int, entry uint32) (uint32, int) {
	contexts := t.contexts[text[i]]
	find := func(n int) bool {
		for _, c := range contexts {
			if c.prefix == 0 && matches(text[i+1:], c.suffix, n) {
				entry = c.elements
				return true
			}
		}
		return false
	}
	n := 0
	for _, c := range contexts {
		if c.prefix != 0 && i > 0 && text[i-1] == c.prefix {
			return c.elements, 1
		}
		if len(c.suffix) > n && matches(text[i+1:], c.suffix, len(c.suffix)) {
			n, entry = len(c.suffix), c.elements
		}
	}
	start, blocked := i+1+n, uint8(0)
	for j := start; j < min(len(text), start+maxMarks); j++ {
		class := t.classes[text[j]]
		if class == 0 {
			break
		}
		if class == blocked { // by an earlier mark of the same class that was skipped
			continue
		}
		// Try the contraction with this mark, and undo the move if there is none.
		rotate(text[start : j+1])
		if find(n + 1) {
			n, start = n+1, start+1
			continue
		}
		rotateBack(text[start : j+1])
		blocked = class
	}
	return entry &^ entryHasContexts, 1 + n
}

// matches reports whether suffix has exactly n characters and text starts with it.
func matches(text, suffix []rune, n int) bool {
	if len(suffix) != n || len(text) < n {
		return false
	}
	for i, c := range suffix {
		if text[i] != c {
			return false
		}
	}
	return true
}

// rotate moves the last character to the front.
func rotate(s []rune) {
	last := s[len(s)-1]
	copy(s[1:], s)
	s[0] = last
}

// rotateBack moves the first character to the end.
func rotateBack(s []rune) {
	first := s[0]
	copy(s, s[1:])
	s[len(s)-1] = first
}
