package main

import (
	"slices"
)

// walk visits every string of the ICU UCharsTrie node at pos. key is the node's prefix.
func walk(t []uint16, pos int, key []uint16, visit func(key []uint16, v uint32)) {
	for {
		lead := t[pos]
		pos++
		switch {
		case lead >= 0x40:
			v, next := readValue(t, pos, lead)
			visit(key, v)
			if lead&0x8000 != 0 {
				return
			}
			lead &= 0x3f
			pos = next
			if lead < 0x30 {
				walkBranch(t, pos, lead, key, visit)
				return
			}
			key, pos = matchRun(t, pos, lead, key)
		case lead >= 0x30:
			key, pos = matchRun(t, pos, lead, key)
		default:
			walkBranch(t, pos, lead, key, visit)
			return
		}
	}
}

func matchRun(t []uint16, pos int, lead uint16, key []uint16) ([]uint16, int) {
	n := int(lead) - 0x30 + 1
	return append(slices.Clip(key), t[pos:pos+n]...), pos + n
}

// readValue reads the value of a node. An intermediate node packs it together with its
// type, and a final node uses all 15 bits.
func readValue(t []uint16, pos int, lead uint16) (uint32, int) {
	if lead&0x8000 != 0 {
		return readFinal(t, pos, lead&0x7fff)
	}
	switch {
	case lead < 0x4040:
		return uint32(lead>>6) - 1, pos
	case lead < 0x7fc0:
		return uint32(lead&0x7fc0-0x4040)<<10 | uint32(t[pos]), pos + 1
	default:
		return uint32(t[pos])<<16 | uint32(t[pos+1]), pos + 2
	}
}

func readFinal(t []uint16, pos int, lead uint16) (uint32, int) {
	switch {
	case lead < 0x4000:
		return uint32(lead), pos
	case lead < 0x7fff:
		return uint32(lead-0x4000)<<16 | uint32(t[pos]), pos + 1
	default:
		return uint32(t[pos])<<16 | uint32(t[pos+1]), pos + 2
	}
}

func walkBranch(t []uint16, pos int, lead uint16, key []uint16, visit func([]uint16, uint32)) {
	n := int(lead)
	if n == 0 {
		n = int(t[pos])
		pos++
	}
	walkSplit(t, pos, n+1, key, visit)
}

// walkSplit visits a branch of n units: a binary search tree whose leaves are lists of at
// most five units.
func walkSplit(t []uint16, pos, n int, key []uint16, visit func([]uint16, uint32)) {
	for n > 5 {
		pos++ // the unit to compare with
		less, next := readJump(t, pos)
		walkSplit(t, less, n/2, key, visit)
		n -= n / 2
		pos = next
	}
	for ; n > 1; n-- {
		in := append(slices.Clip(key), t[pos])
		lead := t[pos+1]
		v, next := readFinal(t, pos+2, lead&0x7fff)
		pos = next
		if lead&0x8000 != 0 {
			visit(in, v)
		} else {
			walk(t, pos+int(v), in, visit)
		}
	}
	walk(t, pos+1, append(slices.Clip(key), t[pos]), visit)
}

// readJump reads a jump to another part of the trie, and returns its target and the
// position after it.
func readJump(t []uint16, pos int) (target, next int) {
	lead := int(t[pos])
	pos++
	switch {
	case lead < 0xfc00:
		return pos + lead, pos
	case lead == 0xffff:
		pos += 2
		return pos + int(t[pos-2])<<16 + int(t[pos-1]), pos
	default:
		pos++
		return pos + (lead-0xfc00)<<16 + int(t[pos-1]), pos
	}
}

func reversed(r []rune) []rune {
	slices.Reverse(r)
	return r
}
