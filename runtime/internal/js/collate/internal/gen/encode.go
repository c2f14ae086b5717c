package main

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// encoder builds the stream that is embedded as the table, and that load.go of package
// collate reads. The stream consists of these sections, each preceded by its length in
// bytes. All numbers are varints.
//
//	weights    first primary weight and number of the ideographs; common secondary and tertiary weights
//	classes    (gap, count, class)…: combining classes of runs of code points
//	decomps    (gap, length, first as signed difference, others)…
//	shapes     (length, (secondary<<6 | tertiary<<1 | has primary)…)…
//	ranges     (gap, count)…: the code points of ids
//	ids        shape of each code point
//	primaries  of shapes with one element: signed difference from the previous one plus one
//	lists      primary weights of all other shapes
//	contexts   (first, prefix or 0, length, suffix…, shape, primaries…)…
//	han        (first, count)…: blocks of ideographs
//	runs       lengths of the runs of ideographs in one bucket
//	buckets    bucket of each run after the first: signed difference from the previous one plus one
type encoder struct {
	covered []rune
	rules   map[rune][]rule
	han     []rune
	order   map[rune]int

	primary   map[uint32]int
	secondary map[uint16]int
	tertiary  map[uint16]int
	below     int

	shapes                              map[string]int
	shapeBytes, ids, singles, listBytes []byte
	last                                int
}

// hanBlocks are the blocks of unified ideographs that sort as in ICU. Those of the
// supplementary planes would double the size of the table.
var hanBlocks = [][2]rune{{0x4e00, 0x9fff}, {0xfa0e, 0xfa29}, {0x3400, 0x4dbf}}

// beyondHan reports whether c is in a plane whose ideographs sort in code point order.
func beyondHan(c rune) bool { return c >= 0x20000 && c <= 0x3ffff }

// marker is a noncharacter that ICU uses to mark the start of scripts.
const marker = 0xfdd1

// common is both the secondary and the tertiary weight of ordinary characters.
const common = 0x0500

func encode(d *collationData, f facts) (string, error) {
	e := &encoder{rules: map[rune][]rule{}, order: map[rune]int{}, shapes: map[string]int{}}
	e.collect(d, f)
	if err := e.rank(); err != nil {
		return "", err
	}
	ranges := e.encodeRanges()
	contexts := e.encodeContexts()
	blocks, runs, buckets := e.encodeHan()
	var stream []byte
	for _, section := range [][]byte{
		numbers(e.below, len(e.han), e.secondary[common], e.tertiary[common]), encodeClasses(f), encodeDecompositions(f), e.shapeBytes,
		ranges, e.ids, e.singles, e.listBytes, contexts, blocks, runs, buckets,
	} {
		stream = binary.AppendUvarint(stream, uint64(len(section)))
		stream = append(stream, section...)
	}
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(stream); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

// collect gathers the code points that have their own weights. Those with a decomposition,
// including Hangul syllables, sort like the characters they decompose to.
func (e *encoder) collect(d *collationData, f facts) {
	used, rare := map[uint32]bool{}, map[rune]bool{}
	for c := rune(0); c <= 0x10ffff; c++ {
		hangul := c >= 0xac00 && c <= 0xd7a3
		for _, to := range f.decomposition[c] {
			rare[to] = beyondHan(to)
		}
		if hangul || c == marker || f.decomposition[c] != nil || !d.assigned(c) {
			continue
		}
		e.rules[c] = d.rules(c)
		if !beyondHan(c) {
			for _, r := range e.rules[c] {
				for _, el := range r.elements {
					used[el.p] = true
				}
			}
		}
	}
	for _, block := range hanBlocks {
		for c := block[0]; c <= block[1]; c++ {
			if _, ok := e.rules[c]; ok {
				e.addHan(c)
			}
		}
	}
	// A rare ideograph also requires its exact position if a radical or the like shares its
	// primary weight, or if a character decomposes to it.
	for _, c := range slices.Sorted(maps.Keys(e.rules)) {
		if _, ok := e.order[c]; ok {
			continue
		}
		if !beyondHan(c) {
			e.covered = append(e.covered, c)
		} else if rare[c] || used[e.rules[c][0].elements[0].p] {
			e.addHan(c)
		}
	}
}

func (e *encoder) addHan(c rune) {
	e.order[c] = len(e.han)
	e.han = append(e.han, c)
}

// rank numbers all weights in use in ascending order. It fails if the table does not have
// enough bits for the numbers, or if the ideographs are not consecutive.
func (e *encoder) rank() error {
	ps, ss, ts := map[uint32]bool{0: true}, map[uint16]bool{0: true}, map[uint16]bool{0: true}
	for _, c := range slices.Concat(e.covered, e.han) {
		for _, r := range e.rules[c] {
			for _, el := range r.elements {
				ps[el.p], ss[el.s], ts[el.t] = true, true, true
			}
		}
	}
	e.primary, e.secondary, e.tertiary = ranks(ps), ranks(ss), ranks(ts)
	if len(ps) > 1<<16 || len(ss) > 1<<9 || len(ts) > 1<<5 {
		return fmt.Errorf("%d primary, %d secondary, %d tertiary weights do not fit 16, 9 and 5 bits", len(ps), len(ss), len(ts))
	}
	slices.SortFunc(e.han, func(a, b rune) int { return cmp.Compare(e.hanPrimary(a), e.hanPrimary(b)) })
	e.below = e.hanPrimary(e.han[0])
	for i, c := range e.han {
		if e.hanPrimary(c) != e.below+i {
			return fmt.Errorf("ideograph U+%04X is number %d of its kind but has primary %d", c, i, e.hanPrimary(c)-e.below)
		}
	}
	return nil
}

func (e *encoder) hanPrimary(c rune) int { return e.primary[e.rules[c][0].elements[0].p] }

func ranks[T cmp.Ordered](set map[T]bool) map[T]int {
	out := map[T]int{}
	for i, w := range slices.Sorted(maps.Keys(set)) {
		out[w] = i
	}
	return out
}

func (e *encoder) encodeRanges() []byte {
	var out []byte
	for i := 0; i < len(e.covered); {
		gap := e.covered[i]
		if i > 0 {
			gap -= e.covered[i-1]
		}
		n := 1
		for i+n < len(e.covered) && e.covered[i+n] == e.covered[i]+rune(n) {
			n++
		}
		out = append(out, numbers(int(gap), n)...)
		i += n
	}
	for _, c := range e.covered {
		r := e.rules[c][0]
		e.ids = append(e.ids, numbers(e.shape(r))...)
		if len(r.elements) == 1 && r.elements[0].p != 0 {
			k := e.primary[r.elements[0].p]
			e.singles = binary.AppendVarint(e.singles, int64(k-e.last-1))
			e.last = k
		} else {
			e.listBytes = append(e.listBytes, e.primaries(r)...)
		}
	}
	return out
}

// shape returns the number of a rule's shape: its elements without primary weights.
func (e *encoder) shape(r rule) int {
	out := numbers(len(r.elements))
	for _, el := range r.elements {
		v := e.secondary[el.s]<<6 | e.tertiary[el.t]<<1
		if el.p != 0 {
			v |= 1
		}
		out = append(out, numbers(v)...)
	}
	id, ok := e.shapes[string(out)]
	if !ok {
		id = len(e.shapes)
		e.shapes[string(out)] = id
		e.shapeBytes = append(e.shapeBytes, out...)
	}
	return id
}

func (e *encoder) primaries(r rule) []byte {
	var out []byte
	for _, el := range r.elements {
		if el.p != 0 {
			out = append(out, numbers(e.primary[el.p])...)
		}
	}
	return out
}

func (e *encoder) encodeContexts() []byte {
	var out []byte
	for _, c := range e.covered {
		for _, r := range e.rules[c][1:] {
			prefix := rune(0)
			if len(r.prefix) > 0 {
				prefix = r.prefix[0]
			}
			if len(r.prefix) > 1 || len(r.prefix) == 1 && len(r.suffix) > 0 {
				panic(fmt.Sprintf("U+%04X has a context the table has no room for", c))
			}
			out = append(out, numbers(int(c), int(prefix), len(r.suffix))...)
			for _, s := range r.suffix {
				out = append(out, numbers(int(s))...)
			}
			out = append(out, numbers(e.shape(r))...)
			out = append(out, e.primaries(r)...)
		}
	}
	return out
}

// encodeHan encodes the order of the ideographs, which is by radical and stroke, then by
// block, then by code point. The list contains them block by block, in ascending order. A
// bucket is a part of the order in which positions in the list ascend, so buckets and list
// together determine the order.
func (e *encoder) encodeHan() (blocks, runs, buckets []byte) {
	bucket := map[rune]int{}
	b := 0
	for i, c := range e.han {
		if i > 0 && e.order[c] < e.order[e.han[i-1]] {
			b++
		}
		bucket[c] = b
	}
	listing := slices.Clone(e.han)
	slices.SortFunc(listing, func(a, b rune) int { return e.order[a] - e.order[b] })
	start, last, n := 0, 0, 0
	for i, c := range listing {
		if i > 0 && c != listing[i-1]+1 {
			blocks = append(blocks, numbers(int(listing[start]), i-start)...)
			start = i
		}
		if bucket[c] != last {
			runs = append(runs, numbers(n)...)
			buckets = binary.AppendVarint(buckets, int64(bucket[c]-last-1))
			last, n = bucket[c], 0
		}
		n++
	}
	return append(blocks, numbers(int(listing[start]), len(listing)-start)...), append(runs, numbers(n)...), buckets
}

func encodeClasses(f facts) []byte {
	var out []byte
	marks := slices.Sorted(maps.Keys(f.class))
	last := rune(0)
	for i := 0; i < len(marks); {
		n := 1
		for i+n < len(marks) && marks[i+n] == marks[i]+rune(n) && f.class[marks[i+n]] == f.class[marks[i]] {
			n++
		}
		out = append(out, numbers(int(marks[i]-last), n, f.class[marks[i]])...)
		last = marks[i]
		i += n
	}
	return out
}

func encodeDecompositions(f facts) []byte {
	var out []byte
	last, lastFirst := rune(0), rune(0)
	for _, c := range slices.Sorted(maps.Keys(f.decomposition)) {
		to := f.decomposition[c]
		out = append(out, numbers(int(c-last), len(to))...)
		out = binary.AppendVarint(out, int64(to[0]-lastFirst))
		for _, r := range to[1:] {
			out = append(out, numbers(int(r))...)
		}
		last, lastFirst = c, to[0]
	}
	return out
}

func numbers(n ...int) []byte {
	var out []byte
	for _, n := range n {
		out = binary.AppendUvarint(out, uint64(n))
	}
	return out
}
