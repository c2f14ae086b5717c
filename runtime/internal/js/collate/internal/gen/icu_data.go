package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// findItem searches file for an ICU common data package and returns the item whose name
// ends with suffix, including its data header. The package can be anywhere in the file:
// Node.js embeds it in its executable, and Linux distributions in libicudata; others
// provide it as a .dat file.
func findItem(file []byte, suffix string) ([]byte, error) {
	magic := []byte{0xda, 0x27}
	for at := 0; ; {
		i := bytes.Index(file[at:], magic)
		if i < 0 {
			return nil, fmt.Errorf("no ICU common data package with an item %q", suffix)
		}
		start := at + i - 2
		at += i + 2
		if start < 0 || !isPackage(file[start:]) {
			continue
		}
		if item, ok := itemOf(file[start:], suffix); ok {
			return item, nil
		}
	}
}

// isPackage reports whether b starts with the header of a little-endian
// package of format "CmnD".
func isPackage(b []byte) bool {
	return len(b) > 32 && b[8] == 0 && b[9] == 0 && string(b[12:16]) == "CmnD"
}

// itemOf looks up an item in the table of contents of a package.
func itemOf(pkg []byte, suffix string) ([]byte, bool) {
	toc := pkg[binary.LittleEndian.Uint16(pkg):]
	n := int(binary.LittleEndian.Uint32(toc))
	for i := range n {
		entry := toc[4+8*i:]
		name := toc[binary.LittleEndian.Uint32(entry):]
		name = name[:bytes.IndexByte(name, 0)]
		if bytes.HasSuffix(name, []byte(suffix)) {
			return toc[binary.LittleEndian.Uint32(entry[4:]):], true
		}
	}
	return nil, false
}

// collationData is the parsed root collation ("ucadata.icu", format "UCol"
// version 5): a trie from code points to 32-bit collation element codes, and the tables
// that the codes refer to.
type collationData struct {
	trie     trie2
	ces      []uint64
	ce32s    []uint32
	contexts []uint16
	jamo     []uint32
}

// Positions in the index block of a collation data file.
const (
	ixJamoStart = 4
	ixTrie      = 7
	ixCEs       = 9
	ixCE32s     = 11
	ixContexts  = 13
)

func parseCollation(item []byte) (*collationData, error) {
	if string(item[12:16]) != "UCol" || item[16] != 5 {
		return nil, fmt.Errorf("collation data has format %q version %d, want UCol 5", item[12:16], item[16])
	}
	body := item[binary.LittleEndian.Uint16(item):]
	n := int(binary.LittleEndian.Uint32(body))
	index := make([]int, n)
	for i := range index {
		index[i] = int(int32(binary.LittleEndian.Uint32(body[4*i:])))
	}
	if n <= ixContexts+1 {
		return nil, errors.New("collation data has a short index")
	}
	part := func(ix int) []byte { return body[index[ix]:index[ix+1]] }
	d := &collationData{
		ces:      read(part(ixCEs), 8, binary.LittleEndian.Uint64),
		ce32s:    read(part(ixCE32s), 4, binary.LittleEndian.Uint32),
		contexts: read(part(ixContexts), 2, binary.LittleEndian.Uint16),
	}
	d.jamo = d.ce32s[index[ixJamoStart]:]
	var err error
	d.trie, err = parseTrie2(part(ixTrie))
	return d, err
}

func read[T any](b []byte, size int, get func([]byte) T) []T {
	out := make([]T, len(b)/size)
	for i := range out {
		out[i] = get(b[i*size:])
	}
	return out
}

// trie2 is ICU's UTrie2 with 32-bit values.
type trie2 struct {
	index     []uint16
	data      []uint32
	highStart rune
}

func parseTrie2(b []byte) (trie2, error) {
	if string(b[:4]) != "2irT" || b[4]&0xf != 1 {
		return trie2{}, fmt.Errorf("trie has signature %q and options %#x, want 2irT with 32-bit values", b[:4], b[4])
	}
	nIndex := int(binary.LittleEndian.Uint16(b[6:]))
	nData := int(binary.LittleEndian.Uint16(b[8:])) << 2
	return trie2{
		index:     read(b[16:16+2*nIndex], 2, binary.LittleEndian.Uint16),
		data:      read(b[16+2*nIndex:16+2*nIndex+4*nData], 4, binary.LittleEndian.Uint32),
		highStart: rune(binary.LittleEndian.Uint16(b[14:])) << 11,
	}, nil
}

func (t *trie2) get(c rune) uint32 {
	var block uint16
	switch {
	case c >= 0xd800 && c <= 0xdbff:
		block = t.index[c>>5+0x140]
	case c <= 0xffff:
		block = t.index[c>>5]
	case c >= t.highStart:
		return t.data[len(t.data)-4]
	default:
		block = t.index[int(t.index[0x840-0x20+c>>11])+int(c>>5&0x3f)]
	}
	return t.data[int(block)<<2+int(c&0x1f)]
}
