package plain

// skipSpace returns the index of the first byte at or after i that is not white space.
func (d *decoder) skipSpace(i int) int {
	for i < len(d.data) {
		switch d.data[i] {
		case ' ', '\t', '\r', '\n':
			d.spaced = true
			i++
		default:
			return i
		}
	}
	return i
}

// skip validates a value of any type. It accepts only JSON.
func (d *decoder) skip(i, depth int) int {
	if i >= len(d.data) || depth > maxDepth {
		return miss
	}
	switch d.data[i] {
	case '"':
		return d.skipString(i + 1)
	case '{':
		return d.skipObject(i, depth)
	case '[':
		return d.skipList(i, depth)
	case 'n':
		return d.literal(i, "null")
	case 't':
		return d.literal(i, "true")
	case 'f':
		return d.literal(i, "false")
	}
	return d.skipNumber(i)
}

func (d *decoder) skipObject(i, depth int) int {
	i, more := d.open(i, "{}")
	for more {
		if i >= len(d.data) || d.data[i] != '"' {
			return miss
		}
		end := d.skipString(i + 1)
		if end < 0 {
			return miss
		}
		at := d.colon(end)
		if at < 0 {
			return miss
		}
		i, more = d.next(d.skip(at, depth+1), '}')
	}
	return i
}

func (d *decoder) skipList(i, depth int) int {
	i, more := d.open(i, "[]")
	for more {
		i, more = d.next(d.skip(i, depth+1), ']')
	}
	return i
}

// skipString validates a string whose content starts at i.
func (d *decoder) skipString(i int) int {
	for i = findEnd(d.data, i); i < len(d.data); i = findEnd(d.data, i) {
		switch {
		case d.data[i] == '"':
			return i + 1
		case d.data[i] != '\\':
			return miss
		case unquoteEscape(d.data[i:]) != 0:
			i += 2
		default:
			if _, ok := hex4(d.data[i:]); !ok {
				return miss
			}
			i += 6
		}
	}
	return miss
}

func (d *decoder) skipNumber(i int) int {
	if i < len(d.data) && d.data[i] == '-' {
		i++
	}
	start := i
	i = d.skipDigits(i)
	if i < 0 || i-start > 1 && d.data[start] == '0' {
		return miss
	}
	if i < len(d.data) && d.data[i] == '.' {
		if i = d.skipDigits(i + 1); i < 0 {
			return miss
		}
	}
	if i < len(d.data) && d.data[i]|0x20 == 'e' {
		i++
		if i < len(d.data) && (d.data[i] == '+' || d.data[i] == '-') {
			i++
		}
		return d.skipDigits(i)
	}
	return i
}

// skipDigits skips one or more digits.
func (d *decoder) skipDigits(i int) int {
	start := i
	for i < len(d.data) && d.data[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return miss
	}
	return i
}
