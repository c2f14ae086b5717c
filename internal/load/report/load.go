package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What a saved document may hold, so that a file cannot make us take more
// memory than a few times its size.
const (
	mostBytes   = 256 << 20
	mostObjects = 1 << 20
)

// Load reads what Save wrote. The error says what is wrong with the file, and
// where. A field that is not known is left out: only a new version of the
// format changes what the others mean.
func Load(from io.Reader) (*Document, error) {
	data, err := io.ReadAll(io.LimitReader(from, mostBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the saved run: %w", err)
	}
	if len(data) > mostBytes {
		return nil, fmt.Errorf("a saved run has at most %d MB", mostBytes>>20)
	}
	if err := recognise(data); err != nil {
		return nil, err
	}
	var d Document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, placed(data, err)
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return &d, nil
}

// recognise reports whether data is a document of this version, and says what
// else it seems to be.
func recognise(data []byte) error {
	text := bytes.TrimSpace(data)
	switch {
	case len(text) == 0:
		return errors.New("the file is empty: it is not a saved run")
	case text[0] != '{' && bytes.Contains(data[:min(len(data), 512)], []byte("Attack")):
		return errors.New("this is a vegeta file, which holds requests and no run: `vegeta report` reads it; msctl bench --save writes a run")
	case text[0] != '{':
		return errors.New("this is not JSON, so it is not a saved run: msctl bench --save writes one")
	}
	if bytes.Count(data, []byte("{")) > mostObjects {
		return fmt.Errorf("a saved run has at most %d objects", mostObjects)
	}
	if !json.Valid(data) {
		return placed(data, json.Unmarshal(data, new(any)))
	}
	var head struct {
		Version *int            `json:"version"`
		Attack  json.RawMessage `json:"attack"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return placed(data, err)
	}
	return checkVersion(head.Version, head.Attack != nil)
}

func checkVersion(version *int, attack bool) error {
	switch {
	case version == nil && attack:
		return errors.New("these are results of vegeta, which are requests and no run: msctl bench --save writes a run")
	case version == nil:
		return errors.New("the file has no version: it is not a saved run; msctl bench --save writes one")
	case *version < DocumentVersion:
		return fmt.Errorf("the file has version %d of the format, which only earlier builds of msctl read: make the run again", *version)
	case *version > DocumentVersion:
		return fmt.Errorf("the file has version %d of the format and this msctl reads %d: update msctl", *version, DocumentVersion)
	}
	return nil
}

// placed gives an error of encoding/json the line it is about.
func placed(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && int(syntax.Offset) >= len(bytes.TrimRight(data, " \t\r\n")):
		return fmt.Errorf("the file ends in the middle of the run, in line %d: was it cut off?", line(data, len(data)))
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: not JSON: %w", line(data, int(syntax.Offset)), err)
	case errors.As(err, &kind):
		return fmt.Errorf("line %d: %s: unexpected %s", line(data, int(kind.Offset)), cmp.Or(kind.Field, "the file"), kind.Value)
	}
	return fmt.Errorf("read the saved run: %w", err)
}

// line counts the line of an offset, from 1.
func line(data []byte, offset int) int {
	return bytes.Count(data[:min(max(offset, 0), len(data))], []byte("\n")) + 1
}
