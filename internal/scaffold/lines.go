package scaffold

import (
	"bytes"
	"slices"
)

// unix returns text with the line ending \n. Binary data stays the same.
func unix(text []byte) []byte {
	if bytes.IndexByte(text, 0) >= 0 {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
}

// withEndingsOf returns text, whose lines end in \n, with the line endings of an earlier
// version: a line that both have keeps its own, and a new line gets the most common one.
func withEndingsOf(before, text []byte) []byte {
	if bytes.Equal(unix(before), before) {
		return text
	}
	old := bytes.SplitAfter(before, []byte("\n"))
	windows := bytes.Count(before, []byte("\r\n"))*2 > bytes.Count(before, []byte("\n"))
	var out bytes.Buffer
	for line := range bytes.SplitAfterSeq(text, []byte("\n")) {
		same := slices.IndexFunc(old, func(other []byte) bool { return bytes.Equal(unix(other), line) })
		switch {
		case same >= 0:
			out.Write(old[same])
			old = old[same+1:]
		case windows:
			out.Write(bytes.ReplaceAll(line, []byte("\n"), []byte("\r\n")))
		default:
			out.Write(line)
		}
	}
	return out.Bytes()
}
