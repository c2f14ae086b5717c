package proc

import (
	"bytes"
	"io"
	"sync"
)

// maxLine bounds what is kept of a line that does not end: 16 MiB. A longer one
// is given in pieces.
const maxLine = 16 << 20

// readLines reads r to its end and gives each line without its end, whatever
// its length, and at last what stands after the last line end. It returns when
// r ends or fails; how is of no interest, the process tells why it ended.
func readLines(r io.Reader, give func(line string)) {
	var line []byte // of one that has not ended
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		rest := chunk[:n]
		for len(rest) > 0 {
			head, tail, whole := bytes.Cut(rest, []byte("\n"))
			line = append(line, head...)
			rest = tail
			if whole || len(line) >= maxLine {
				give(string(bytes.TrimSuffix(line, []byte("\r"))))
				line = line[:0]
			}
		}
		if cap(line) > 1<<20 && len(line) == 0 {
			line = nil
		}
		if err != nil {
			break
		}
	}
	if len(line) > 0 {
		give(string(line))
	}
}

// tail keeps the last lines of a process, for the one who must tell why it did
// not start. It is safe for concurrent use. The zero value is ready for use.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 30

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.lines...)
}
