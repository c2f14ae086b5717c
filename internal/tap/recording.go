package tap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The limits of a recording.
const (
	// maxRecord is that of a line, in bytes. A record is smaller when it arrives (maxLine), but each byte of it may
	// take six in a file.
	maxRecord = 4 << 20
	// maxRecords is that of the lines. More would not fit in the memory of a small machine.
	maxRecords = 2_000_000
)

// ReadRecording reads what `msctl tap --record` has written, and passes each message to visit with its line, from 1,
// until visit returns an error. A message has a span and a kind, or counts what is missing ([Message.Dropped]). What
// is not a message, or too long, is an error that names the line.
func ReadRecording(from io.Reader, visit func(line int, m *Message) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxRecord)
	n := 0
	for lines.Scan() {
		if n++; n > maxRecords {
			return fmt.Errorf("line %d: a recording has at most %d lines", n, maxRecords)
		}
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		m, err := ParseMessage(text)
		switch {
		case err != nil:
			return fmt.Errorf("line %d is not a record of a message: %w", n, err)
		case m.Dropped > 0:
			m = Message{Service: m.Service, Runtime: m.Runtime, PID: m.PID, Dropped: m.Dropped}
		case m.Span == "" || m.Kind == "":
			return fmt.Errorf("line %d is not a record of a message: it has no kind or no span", n)
		}
		if err := visit(n, &m); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d is longer than %d MiB", n+1, maxRecord>>20)
	case err != nil:
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}
