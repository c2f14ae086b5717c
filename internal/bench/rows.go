package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/shorthand"
)

// The limits of a data file.
const (
	maxRows = 1_000_000
	maxLine = 64 << 20 // bytes
)

// readRows reads the lines of --data-file; nil without one.
func (m *Message) readRows(input shorthand.Reader) (rows []json.RawMessage, err error) {
	if m.DataFile == "" {
		return nil, nil
	}
	in := input.Stdin
	if m.DataFile != "-" {
		file, err := open(m.files, m.DataFile)
		if err != nil {
			return nil, exit.Usagef("--data-file: %w", err)
		}
		defer file.Close()
		in = file
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) == 0 {
			continue
		}
		row, err := shorthand.ParseJSON(fmt.Sprintf("%s, line %d", m.DataFile, n), string(line))
		if err != nil {
			return nil, err
		}
		input.Secrets.LearnJSON(row)
		if rows = append(rows, row); len(rows) > maxRows {
			return nil, exit.Usagef("--data-file: %s has more than %d lines", m.DataFile, maxRows)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, exit.Usagef("--data-file: %s has a line longer than %d MiB", m.DataFile, maxLine>>20)
	case err != nil:
		return nil, exit.Usagef("--data-file: %w", err)
	case len(rows) == 0:
		return nil, exit.Usagef("--data-file: %s has no lines", m.DataFile)
	}
	return rows, nil
}
