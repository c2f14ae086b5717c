package main

import "fmt"

// element is one collation element: its primary, secondary, and tertiary weights.
type element struct {
	p    uint32
	s, t uint16
}

// rule is a sequence of code points that sorts as one unit. suffix is set if first has
// other elements before it (a contraction), and prefix if first has other elements after
// it.
type rule struct {
	prefix   []rune
	first    rune
	suffix   []rune
	elements []element
}

const (
	tagLongPrimary    = 1
	tagLongSecondary  = 2
	tagLatinExpansion = 4
	tagExpansion32    = 5
	tagExpansion      = 6
	tagPrefix         = 8
	tagContraction    = 9
	tagDigit          = 10
	tagZero           = 11
	tagOffset         = 14
	tagImplicit       = 15
)

func isSpecial(v uint32) bool { return v&0xff >= 0xc0 }

// assigned reports whether the root collation has weights for c. All other code points
// sort after these, by number.
func (d *collationData) assigned(c rune) bool {
	v := d.trie.get(c)
	return !isSpecial(v) || v&0xf != tagImplicit
}

// rules returns the rules of c: first the one without a context, and then one for each of
// its contexts.
func (d *collationData) rules(c rune) []rule {
	var out []rule
	d.expand(rule{first: c}, d.trie.get(c), &out)
	return out
}

func (d *collationData) expand(r rule, v uint32, out *[]rule) {
	if isSpecial(v) {
		switch v & 0xf {
		case tagPrefix:
			at := int(v >> 13)
			d.expand(r, uint32(d.contexts[at])<<16|uint32(d.contexts[at+1]), out)
			walk(d.contexts, at+2, nil, func(key []uint16, v uint32) {
				in := r
				in.prefix = reversed(decodeUTF16(key))
				d.expand(in, v, out)
			})
			return
		case tagContraction:
			at := int(v >> 13)
			d.expand(r, uint32(d.contexts[at])<<16|uint32(d.contexts[at+1]), out)
			walk(d.contexts, at+2, nil, func(key []uint16, v uint32) {
				in := r
				in.suffix = decodeUTF16(key)
				d.expand(in, v, out)
			})
			return
		case tagDigit:
			d.expand(r, d.ce32s[v>>13], out)
			return
		case tagZero:
			d.expand(r, d.ce32s[0], out)
			return
		}
	}
	r.elements = d.elements(r.first, v)
	*out = append(*out, r)
}

func (d *collationData) elements(c rune, v uint32) []element {
	if !isSpecial(v) || v&0xf == tagLongPrimary || v&0xf == tagLongSecondary {
		return trim([]element{simple(v)})
	}
	at, n := int(v>>13), int(v>>8&31)
	switch v & 0xf {
	case tagLatinExpansion:
		return trim([]element{
			{p: v & 0xff000000, s: 0x0500, t: uint16(v >> 8 & 0xff00)},
			{s: uint16(v & 0xff00), t: 0x0500},
		})
	case tagExpansion32:
		var out []element
		for _, v := range d.ce32s[at : at+n] {
			out = append(out, simple(v))
		}
		return trim(out)
	case tagExpansion:
		var out []element
		for _, ce := range d.ces[at : at+n] {
			out = append(out, element{p: uint32(ce >> 32), s: uint16(ce >> 16), t: uint16(ce)})
		}
		return trim(out)
	case tagOffset:
		return []element{{p: offsetPrimary(c, d.ces[at]), s: 0x0500, t: 0x0500}}
	}
	panic(fmt.Sprintf("U+%04X has the unexpected code %#x", c, v))
}

func simple(v uint32) element {
	switch {
	case !isSpecial(v):
		return element{p: v & 0xffff0000, s: uint16(v & 0xff00), t: uint16(v & 0xff << 8)}
	case v&0xf == tagLongPrimary:
		return element{p: v & 0xffffff00, s: 0x0500, t: 0x0500}
	case v&0xf == tagLongSecondary:
		return element{s: uint16(v >> 16), t: uint16(v & 0xff00)}
	}
	panic(fmt.Sprintf("unexpected code %#x in an expansion", v))
}

// trim removes the case and quaternary bits, which the default comparison ignores, and
// elements without any remaining weight.
func trim(in []element) []element {
	out := in[:0]
	for _, e := range in {
		e.t &= 0x3f3f
		if e != (element{}) {
			out = append(out, e)
		}
	}
	return out
}

// offsetPrimary computes the three-byte primary weight of c from that of the first code
// point of its range. The third byte counts from 2 to 255. The second byte counts from 2
// to 255 or, if the lead byte is compressible, from 4 to 254.
func offsetPrimary(c rune, data uint64) uint32 {
	base, low := uint32(data>>32), uint32(data)
	offset := (int(c) - int(low>>8)) * int(low&0x7f)
	compressible := low&0x80 != 0
	offset += int(base>>8&0xff) - 2
	p := uint32(offset%254+2) << 8
	offset /= 254
	first, span := 2, 254
	if compressible {
		first, span = 4, 251
	}
	offset += int(base>>16&0xff) - first
	p |= uint32(offset%span+first) << 16
	offset /= span
	return p | (base&0xff000000 + uint32(offset)<<24)
}
