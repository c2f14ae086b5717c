package main

import "fmt"

// element is one collation element: three weights, compared level by level.
type element struct {
	p    uint32
	s, t uint16
}

// rule is a sequence of code points that sorts as one unit: suffix is set
// when the first code point behaves differently before it (a contraction),
// prefix when it does so after it.
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

// assigned reports whether the root collation has its own weights for c;
// other code points sort by their number, behind all of these.
func (d *collationData) assigned(c rune) bool {
	v := d.trie.get(c)
	return !isSpecial(v) || v&0xf != tagImplicit
}

// rules returns the elements of c alone and in each of its contexts.
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

// trim drops the case and quaternary bits, which the default comparison
// ignores, and elements that then weigh nothing.
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

// offsetPrimary computes a three-byte primary by counting on from the base
// primary of a range of code points: bytes that may follow a lead byte run
// from 2 (4 where the lead byte is compressible) to 255 (254).
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
