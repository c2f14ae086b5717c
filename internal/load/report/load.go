package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/term/visible"
)

// Limits of a saved document, so that loading a file takes at most a few times its
// size in memory.
const (
	maxBytes   = 256 << 20
	maxObjects = 1 << 20
)

// Load reads a document written by Save, without credentials and control characters. Its
// errors state what is wrong with the file, and where. Unknown fields are ignored: only a new version of the format changes the
// meaning of the others.
func Load(from io.Reader) (*Document, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the saved run: %w", err)
	}
	if len(data) > maxBytes {
		return nil, fmt.Errorf("the file is too large: a saved run has at most %d MB", maxBytes>>20)
	}
	if err := recognize(data); err != nil {
		return nil, err
	}
	var d Document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, placed(data, err)
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	d.Clean(secret.Text)
	return &d, nil
}

// Clean removes credentials and special characters from all texts. mask returns a text
// without credentials. Only the command may have several lines.
func (d *Document) Clean(mask func(string) string) {
	command := visible.Text(mask(d.Command))
	visible.Strings(d, func(text string) string { return visible.Line(mask(text)) })
	d.Command = command
}

// recognize returns an error unless data looks like a document of this version. The
// error states what else it seems to be.
func recognize(data []byte) error {
	text := bytes.TrimSpace(data)
	switch {
	case len(text) == 0:
		return errors.New("the file is empty")
	case text[0] != '{' && bytes.Contains(data[:min(len(data), 512)], []byte("Attack")):
		return errors.New("the file contains vegeta results, not a saved run: use `vegeta report`, or save a run with msctl bench --save")
	case text[0] != '{':
		return errors.New("the file is not JSON: save a run with msctl bench --save")
	}
	if bytes.Count(data, []byte("{")) > maxObjects {
		return fmt.Errorf("the file is too large: a saved run has at most %d objects", maxObjects)
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
		return errors.New("the file contains vegeta results, not a saved run: save a run with msctl bench --save")
	case version == nil:
		return errors.New("the file has no version, so it is not a saved run: save one with msctl bench --save")
	case *version < DocumentVersion:
		return fmt.Errorf("the file has format version %d, which this msctl cannot read: repeat the run", *version)
	case *version > DocumentVersion:
		return fmt.Errorf("the file has format version %d, but this msctl reads version %d: update msctl", *version, DocumentVersion)
	}
	return nil
}

// placed adds the line to an error of encoding/json.
func placed(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && int(syntax.Offset) >= len(bytes.TrimRight(data, " \t\r\n")):
		return fmt.Errorf("the file ends unexpectedly in line %d: was it truncated?", line(data, len(data)))
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: invalid JSON: %w", line(data, int(syntax.Offset)), err)
	case errors.As(err, &kind):
		return fmt.Errorf("line %d: %s: unexpected %s", line(data, int(kind.Offset)), cmp.Or(kind.Field, "the file"), kind.Value)
	}
	return fmt.Errorf("read the saved run: %w", err)
}

// line returns the line of an offset, counted from 1.
func line(data []byte, offset int) int {
	return bytes.Count(data[:min(max(offset, 0), len(data))], []byte("\n")) + 1
}
