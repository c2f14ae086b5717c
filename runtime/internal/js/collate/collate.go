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

// asciiOrder lists the ASCII characters that count, in ascending order. The
// two cases of a letter differ only after everything else is equal, lower
// case first; control characters not listed are ignored (docs/wire.md 2.2).
const asciiOrder = "\t\n\v\f\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789" +
	"aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ"

// asciiPrimary holds each character's place in asciiOrder, 0 if it is ignored.
var asciiPrimary = func() (primary [utf8.RuneSelf]uint8) {
	for i, c := range []byte(asciiOrder) {
		primary[c] = uint8(i + 1)
		if 'A' <= c && c <= 'Z' {
			primary[c] = primary[c|0x20]
		}
	}
	return primary
}()

// Compare compares two keys as JavaScript's a.localeCompare(b) does in a
// process of the English or the root locale: by ICU's root collation, letters
// before accents before case. It returns 0 for keys that are not the same but
// compare equal, é and e with U+0301 for one.
//
// ASCII is compared by rule. For everything else there is a table of the root
// collation of ICU 78 (Unicode 17). It covers every assigned character, with
// canonical decomposition, contractions and expansions, but for these:
//
//   - ideographs of the supplementary planes (extensions B and later) sort
//     behind the others in code point order, not by radical and stroke;
//   - the noncharacter U+FDD1, with which ICU marks the start of scripts, is
//     taken for unassigned;
//   - of a key that is not ASCII only the first 64 KiB count, and of a run of
//     combining marks only 30 can join in a contraction;
//   - behind the few letters that contract with a mark (и, ا, و and ي among
//     them) ICU sometimes contradicts its own rule that canonically equivalent
//     texts compare equal, if rare marks follow in an order that is not
//     canonical. The rule is followed here.
//
// Unassigned and private characters and lone surrogates come behind all of
// these in code point order, as in ICU.
//
// Locales that sort in another way (Danish, Czech, Estonian, Swedish, …) are
// not known here: a NestJS process that runs under one has other routes.
func Compare(a, b string) int {
	if isASCII(a) && isASCII(b) {
		return compareASCII(a, b)
	}
	table := collation()
	return compareElements(table.elements(a), table.elements(b))
}

// SortStable sorts a list by the keys of its elements as Compare orders them.
// Elements with equal keys keep their order. Each key is looked up once.
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

// compareASCII compares two ASCII keys. It is exact.
func compareASCII(a, b string) int {
	cased := 0 // by the first letter that differs in case alone
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
			cased = cmp.Compare(b[j], a[i]) // lower case has the higher code
		}
	}
}

// collation returns the table, unpacked when it is first needed.
var collation = sync.OnceValue(loadCollation)

// collationTable is the unpacked table.
type collationTable struct {
	pages      []uint16 // by code point / 256: which 256 of entries, 0 for none
	entries    []uint32 // by page and code point: see below
	lists      []uint32 // elements of characters with none or several
	contexts   map[rune][]collationContext
	decomposed map[rune][]rune
	classes    map[rune]uint8 // rank of the canonical combining class; 0 for a starter
	common     uint64         // secondary and tertiary weight of an ordinary character
	ideographs uint64         // the first primary behind those of the ideographs
}

// An element has a primary weight in 16 bits, a secondary in 9 and a tertiary
// in 5; a weight of 0 does not take part. An entry is an element, or a flag
// with the place of a list of them and its length, or 0 for a character that
// the table does not have. In 64 bits the primary has room for those too.
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

// collationContext gives a character other elements where it follows prefix,
// or where suffix follows it.
type collationContext struct {
	prefix   rune // 0 for none
	suffix   []rune
	elements uint32 // an entry
}

// compareElements compares primary weights first, then secondary, then
// tertiary ones.
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
	maxCollated   = 64 << 10 // bytes of a key
	maxMarks      = 30       // that may join in a contraction
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

// widen makes room behind the ideographs for characters without an entry:
// only U+FFFD and U+FFFF lie behind those.
func (t *collationTable) widen(element uint32) uint64 {
	e := uint64(element)
	if e>>primaryShift >= t.ideographs {
		e += 2 * maxCodePoints << primaryShift
	}
	return e
}

// unknown is the element of a character without an entry.
func (t *collationTable) unknown(c rune) uint64 {
	p := t.ideographs + uint64(c)
	if c < 0x20000 || c > 0x3FFFF { // no ideograph
		p += maxCodePoints
	}
	return p<<primaryShift | t.common
}

// inContext returns the entry of the character at i with what surrounds it,
// and how many characters that takes. Marks further on that nothing blocks
// may take part; they are moved up to it then.
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
		if class == blocked {
			continue
		}
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

// matches reports whether suffix has n characters and text starts with them.
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
