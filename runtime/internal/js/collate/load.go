package collate

import (
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/msctl/msctl/runtime/internal/js"
)

// decompose returns the canonical decomposition (NFD) of key, which is WTF-8.
func (t *collationTable) decompose(key string) []rune {
	text := make([]rune, 0, len(key))
	marks := 0 // the number of combining marks at the end of text
	for len(key) > 0 {
		c, n := utf8.DecodeRuneInString(key)
		if n == 1 && c == utf8.RuneError {
			if s, ok := js.SurrogateAt(key); ok {
				c, n = s, 3
			}
		}
		key = key[n:]
		before := len(text)
		text = t.appendDecomposed(text, c)
		for i := before; i < len(text); i++ {
			if t.classes[text[i]] != 0 {
				marks++
				continue
			}
			t.sortMarks(text[i-marks : i])
			marks = 0
		}
	}
	t.sortMarks(text[len(text)-marks:])
	return text
}

func (t *collationTable) sortMarks(marks []rune) {
	if len(marks) > 1 {
		slices.SortStableFunc(marks, func(a, b rune) int { return int(t.classes[a]) - int(t.classes[b]) })
	}
}

func (t *collationTable) appendDecomposed(text []rune, c rune) []rune {
	const first, last = 0xAC00, 0xD7A3 // Hangul syllables: 19 × 21 × 28
	switch {
	case c < 0xC0:
		return append(text, c)
	case first <= c && c <= last:
		s := c - first
		text = append(text, 0x1100+s/588, 0x1161+s%588/28)
		if s%28 != 0 {
			text = append(text, 0x11A7+s%28)
		}
		return text
	}
	if to, ok := t.decomposed[c]; ok {
		return append(text, to...)
	}
	return append(text, c)
}

// loadCollation unpacks the generated table. The encoder in internal/gen, which writes it,
// documents its layout.
func loadCollation() *collationTable {
	packed := flate.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(collationData)))
	stream, err := io.ReadAll(packed)
	if err != nil {
		panic("micro: the collation table is damaged: " + err.Error())
	}
	l := collationLoader{
		in: cursor(stream),
		t: &collationTable{
			pages:      make([]uint16, maxCodePoints>>8),
			entries:    make([]uint32, 256),
			contexts:   map[rune][]collationContext{},
			decomposed: map[rune][]rune{},
			classes:    map[rune]uint8{},
		},
	}
	l.load()
	return l.t
}

// cursor reads varints from the front of a stream.
type cursor []byte

func (c *cursor) next() int {
	v, n := binary.Uvarint(*c)
	*c = (*c)[n:]
	return int(v)
}

func (c *cursor) signed() int {
	v, n := binary.Varint(*c)
	*c = (*c)[n:]
	return int(v)
}

type collationLoader struct {
	t       *collationTable
	in      cursor
	shapes  [][]uint32 // elements with 1<<primaryShift in place of a primary weight
	singles cursor     // primary weights of shapes with one element
	lists   cursor     // primary weights of all other shapes
	last    int        // the last primary weight read from singles
}

func (l *collationLoader) section() cursor {
	n := l.in.next()
	part := l.in[:n]
	l.in = l.in[n:]
	return part
}

func (l *collationLoader) load() {
	weights := l.section()
	below, ideographs := weights.next(), weights.next()
	l.t.ideographs = uint64(below + ideographs)
	l.t.common = uint64(weights.next()<<secondaryShift | weights.next())
	l.loadClasses(l.section())
	l.loadDecompositions(l.section())
	l.loadShapes(l.section())
	ranges, ids := l.section(), l.section()
	l.singles, l.lists = l.section(), l.section()
	for c := 0; len(ranges) > 0; {
		c += ranges.next()
		for n := ranges.next(); n > 0; n-- {
			l.set(rune(c), l.entry(ids.next()))
			c++
		}
		c-- // the next gap counts from the last code point of this run
	}
	l.loadContexts(l.section())
	l.loadIdeographs(below, ideographs)
}

func (l *collationLoader) set(c rune, entry uint32) {
	page := &l.t.pages[c>>8]
	if *page == 0 {
		*page = uint16(len(l.t.entries) >> 8)
		l.t.entries = append(l.t.entries, make([]uint32, 256)...)
	}
	l.t.entries[int(*page)<<8|int(c&0xff)] = entry
}

func (l *collationLoader) loadClasses(in cursor) {
	for c := 0; len(in) > 0; {
		c += in.next()
		n, class := in.next(), in.next()
		for i := range n {
			l.t.classes[rune(c+i)] = uint8(class)
		}
	}
}

func (l *collationLoader) loadDecompositions(in cursor) {
	for c, first := 0, 0; len(in) > 0; {
		c += in.next()
		to := make([]rune, in.next())
		first += in.signed()
		to[0] = rune(first)
		for i := 1; i < len(to); i++ {
			to[i] = rune(in.next())
		}
		l.t.decomposed[rune(c)] = to
	}
}

func (l *collationLoader) loadShapes(in cursor) {
	for len(in) > 0 {
		shape := make([]uint32, in.next())
		for i := range shape {
			v := in.next()
			shape[i] = uint32(v>>1) | uint32(v&1)<<primaryShift
		}
		l.shapes = append(l.shapes, shape)
	}
}

// entry returns the table entry for a shape, whose primary weights are next in singles or
// lists.
func (l *collationLoader) entry(id int) uint32 {
	shape := l.shapes[id]
	if len(shape) == 1 && shape[0]>>primaryShift != 0 {
		l.last += l.singles.signed() + 1
		return shape[0]&(1<<primaryShift-1) | uint32(l.last)<<primaryShift
	}
	return l.list(shape, &l.lists)
}

func (l *collationLoader) list(shape []uint32, primaries *cursor) uint32 {
	at := len(l.t.lists)
	for _, e := range shape {
		if e>>primaryShift != 0 {
			e = e&(1<<primaryShift-1) | uint32(primaries.next())<<primaryShift
		}
		l.t.lists = append(l.t.lists, e)
	}
	return entryIsList | uint32(at)<<listShift | uint32(len(shape))
}

func (l *collationLoader) loadContexts(in cursor) {
	for len(in) > 0 {
		c := rune(in.next())
		context := collationContext{prefix: rune(in.next()), suffix: make([]rune, in.next())}
		for i := range context.suffix {
			context.suffix[i] = rune(in.next())
		}
		context.elements = l.list(l.shapes[in.next()], &in)
		l.t.contexts[c] = append(l.t.contexts[c], context)
		l.set(c, l.t.entry(c)|entryHasContexts)
	}
}

// loadIdeographs restores the order of the ideographs: by bucket, and within a bucket in
// the order of the list.
func (l *collationLoader) loadIdeographs(below, count int) {
	blocks, runs, buckets := l.section(), l.section(), l.section()
	order := make([]uint64, 0, count) // bucket, position in the list, and code point
	bucket, left := 0, runs.next()
	for len(blocks) > 0 {
		c := blocks.next()
		for n := blocks.next(); n > 0; n-- {
			for left == 0 {
				bucket += buckets.signed() + 1
				left = runs.next()
			}
			order = append(order, uint64(bucket)<<48|uint64(len(order))<<24|uint64(c))
			left--
			c++
		}
	}
	slices.Sort(order)
	for i, o := range order {
		l.set(rune(o&(1<<24-1)), uint32(below+i)<<primaryShift|uint32(l.t.common))
	}
}
