package child

import (
	"bytes"
	"io"
	"slices"
	"sync"
)

// maxLine limits how much of an endless line is buffered (16 MiB). A longer line is
// delivered in pieces.
const maxLine = 16 << 20

// readLines reads r to its end and calls give with each line, without its line end. A
// final line without a line end counts, too. An error of r is treated as its end: how
// the process ended is reported elsewhere.
func readLines(r io.Reader, give func(line string)) {
	var line []byte // the incomplete line
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		rest := chunk[:n]
		for len(rest) > 0 {
			head, tail, complete := bytes.Cut(rest, []byte("\n"))
			line = append(line, head...)
			rest = tail
			if complete || len(line) >= maxLine {
				give(string(bytes.TrimSuffix(line, []byte("\r"))))
				line = line[:0]
			}
		}
		if cap(line) > 1<<20 && len(line) == 0 {
			line = nil // release the buffer of a huge line
		}
		if err != nil {
			break
		}
	}
	if len(line) > 0 {
		give(string(line))
	}
}

// tail keeps the last lines of a process's output, to explain a failed start. The zero
// value is ready for use, by several goroutines.
type tail struct {
	mu    sync.Mutex // guards lines
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
	return slices.Clone(t.lines)
}
