package plain

import (
	"math"
	"strconv"
	"unsafe"
)

// integer reads a number that has no fraction or exponent and fits n's type.
func (d *decoder) integer(n *node, p unsafe.Pointer, i int) int {
	negative := d.data[i] == '-'
	if negative {
		i++
	}
	u, end := d.digits(i)
	if end < 0 || end < len(d.data) && (d.data[end] == '.' || d.data[end]|0x20 == 'e') {
		return miss
	}
	bits := uint(n.size) * 8
	if n.op == opUint {
		if negative || u > math.MaxUint64>>(64-bits) {
			return miss
		}
		store(p, n.size, u)
		return end
	}
	limit := uint64(1) << (bits - 1)
	switch {
	case negative && u <= limit:
		store(p, n.size, -u)
	case !negative && u < limit:
		store(p, n.size, u)
	default:
		return miss
	}
	return end
}

// digits reads the integer part of a number: at most 19 digits, without leading zeros.
func (d *decoder) digits(i int) (u uint64, end int) {
	start := i
	for i < len(d.data) {
		c := d.data[i] - '0'
		if c > 9 {
			break
		}
		u = u*10 + uint64(c)
		i++
	}
	count := i - start
	if count == 0 || count > 19 || count > 1 && d.data[start] == '0' {
		return 0, miss
	}
	return u, i
}

// number reads a number. If a float64 can represent its digits and the power of ten
// exactly, one division gives the exact result. strconv parses all other numbers.
func (d *decoder) number(i int) (f float64, end int) {
	start := i
	if i < len(d.data) && d.data[i] == '-' {
		i++
	}
	u, end := d.digits(i)
	places := 0
	if end >= 0 && end < len(d.data) && d.data[end] == '.' {
		u, places, end = d.fraction(u, end+1)
	}
	if end < 0 || u >= 1<<53 || places > 15 || end < len(d.data) && d.data[end]|0x20 == 'e' {
		return d.longNumber(start, 64)
	}
	f = float64(u)
	if places > 0 {
		f /= powerOfTen(places)
	}
	if i > start {
		f = -f
	}
	return f, end
}

// fraction reads the digits after the point and appends them to u, the digits before it.
// If there are too many, it returns a miss or more than 15 places.
func (d *decoder) fraction(u uint64, i int) (all uint64, places, end int) {
	start := i
	for i < len(d.data) && i-start < 16 {
		c := d.data[i] - '0'
		if c > 9 {
			break
		}
		if u >= 1<<53 {
			return u, 0, miss
		}
		u = u*10 + uint64(c)
		i++
	}
	if i == start {
		return u, 0, miss
	}
	return u, i - start, i
}

func powerOfTen(n int) float64 {
	powers := [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}
	return powers[n]
}

func (d *decoder) float32(p unsafe.Pointer, i int) int {
	f, end := d.longNumber(i, 32)
	*(*float32)(p) = float32(f)
	return end
}

// longNumber reads any number.
func (d *decoder) longNumber(i, bits int) (f float64, end int) {
	end = d.skipNumber(i)
	if end < 0 {
		return 0, miss
	}
	f, err := strconv.ParseFloat(stringOf(d.data[i:end]), bits) // only its error, dropped here, keeps the text
	if err != nil {
		return 0, miss
	}
	return f, end
}
