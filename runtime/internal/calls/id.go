package calls

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
)

// A call's ID looks like those of NestJS: 21 hexadecimal digits. The first ones are
// random and the same for all calls of a table; clients that share a broker's reply
// channel tell their replies apart by them. The others are the call's number. An ID
// gets longer when the number no longer fits, after 2^36 calls.
const (
	prefixLen = 12
	idLen     = 21
)

// ids generates the IDs of a table. The zero value is ready for use.
type ids struct {
	prefix [prefixLen]byte // zero until the first call of next
	last   uint64
}

// next returns the number of the next call.
func (s *ids) next() uint64 {
	if s.last == 0 {
		var random [prefixLen / 2]byte
		_, _ = rand.Read(random[:]) // never fails
		hex.Encode(s.prefix[:], random[:])
	}
	s.last++
	return s.last
}

// appendJSON appends the ID of call n as a JSON string.
func (s *ids) appendJSON(dst []byte, n uint64) []byte {
	dst = append(append(dst, '"'), s.prefix[:]...)
	var room [16]byte
	digits := strconv.AppendUint(room[:0], n, 16)
	for i := len(digits); i < idLen-prefixLen; i++ {
		dst = append(dst, '0')
	}
	return append(append(dst, digits...), '"')
}

// number returns the call that an ID belongs to; ok is false for an ID that was not
// generated here.
func (s *ids) number(id []byte) (n uint64, ok bool) {
	if len(id) < idLen || len(id) > prefixLen+16 || string(id[:prefixLen]) != string(s.prefix[:]) {
		return 0, false
	}
	digits := id[prefixLen:]
	if len(id) > idLen && digits[0] == '0' {
		return 0, false // the same number has a shorter ID
	}
	for _, d := range digits {
		switch {
		case '0' <= d && d <= '9':
			n = n<<4 | uint64(d-'0')
		case 'a' <= d && d <= 'f':
			n = n<<4 | uint64(d-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
