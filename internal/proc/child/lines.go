package child

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	// maxLine limits how much of an endless line is buffered (16 MiB). A longer line is
	// delivered in pieces.
	maxLine = 16 << 20
	// promptDelay is how long a process must write nothing for an incomplete line to be
	// delivered, such as a prompt.
	promptDelay = 300 * time.Millisecond
	// progressInterval limits how often a line that is overwritten again and again, such as
	// a progress bar, is delivered.
	progressInterval = time.Second
)

// readLines reads r to its end and calls give with each line, without its line end. A
// final line without a line end counts, too, and so does one that stays incomplete for a
// while; the rest of it is then delivered as another line. Text that a carriage return
// lets the next one overwrite is a line of its own. An error of r is treated as its end:
// how the process ended is reported elsewhere.
func readLines(r io.Reader, give func(line string)) {
	chunks := make(chan []byte)
	go func() {
		defer close(chunks)
		var buffers [2][32 << 10]byte // one is read into while the other is split
		for i := 0; ; i ^= 1 {
			n, err := r.Read(buffers[i][:])
			if n > 0 {
				chunks <- buffers[i][:n]
			}
			if err != nil {
				return
			}
		}
	}()
	l := splitter{give: give}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case chunk, more := <-chunks:
			if !more {
				l.flush()
				return
			}
			l.split(chunk)
			if l.held() {
				timer.Reset(promptDelay)
			} else {
				timer.Stop()
			}
		case <-timer.C:
			l.flush()
		}
	}
}

// splitter splits text into lines.
type splitter struct {
	give    func(line string)
	line    []byte    // the incomplete line
	cr      bool      // it is followed by a carriage return
	skipped []byte    // was overwritten, and has not been delivered
	begun   bool      // a part of the line has been delivered, or was overwritten
	last    time.Time // when a part that was overwritten was last delivered
}

func (l *splitter) split(text []byte) {
	for len(text) > 0 {
		if l.cr {
			l.cr = false
			if text[0] == '\n' {
				text = text[1:]
				l.end()
				continue
			}
			l.overwrite()
		}
		at := bytes.IndexAny(text, "\r\n")
		if at < 0 {
			l.line = append(l.line, text...)
			if len(l.line) >= maxLine {
				l.deliver()
			}
			return
		}
		l.line = append(l.line, text[:at]...)
		if text[at] == '\r' {
			l.cr = true
		} else {
			l.end()
		}
		text = text[at+1:]
	}
}

// held reports whether text has not been delivered.
func (l *splitter) held() bool { return len(l.line) > 0 || len(l.skipped) > 0 }

// deliver delivers what there is of the line.
func (l *splitter) deliver() {
	l.give(string(l.line))
	l.skipped, l.begun = nil, true
	if cap(l.line) > 1<<20 {
		l.line = nil // release the buffer of a huge line
	}
	l.line = l.line[:0]
}

// end ends the line. If its parts have been delivered, it is not empty on the terminal.
func (l *splitter) end() {
	if len(l.line) == 0 {
		l.line = append(l.line, l.skipped...)
	}
	if len(l.line) > 0 || !l.begun {
		l.deliver()
	}
	l.skipped, l.begun = nil, false
}

// overwrite delivers what will be overwritten: the first part of a line, and later ones
// from time to time.
func (l *splitter) overwrite() {
	if len(l.line) == 0 {
		return
	}
	if now := time.Now(); !l.begun || now.Sub(l.last) >= progressInterval {
		l.last = now
		l.deliver()
		return
	}
	l.skipped = append(l.skipped[:0], l.line...)
	l.line = l.line[:0]
}

// flush delivers what has not been delivered.
func (l *splitter) flush() {
	l.cr = false
	if len(l.line) == 0 {
		l.line = append(l.line, l.skipped...)
	}
	if len(l.line) > 0 {
		l.deliver()
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
