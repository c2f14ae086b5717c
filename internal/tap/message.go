package tap

import (
	"encoding/json"
	"strings"

	"github.com/msctl/msctl/runtime/tap"
)

// Message is a record, with the program that reported it. Its JSON is one line of `msctl tap -o json`,
// of a recording, and of what a [Hub] sends to viewers.
type Message struct {
	tap.Record
	Service string `json:"service"`
	Runtime string `json:"runtime,omitempty"`
	PID     int    `json:"pid,omitempty"`
	// Dropped is the number of records that were dropped before this line, by the program or on the way
	// to the viewer. A line with it has no record.
	Dropped int `json:"dropped,omitempty"`
}

// ParseMessage parses a line.
func ParseMessage(line []byte) (m Message, err error) {
	err = json.Unmarshal(line, &m)
	return m, err
}

// HasData reports whether the data was recorded completely, or there was none. If only the reply was cut, it was.
func (m *Message) HasData() bool {
	if len(m.Data) == 0 {
		return m.In == 0
	}
	if !m.Cut || m.Data[0] != '"' {
		return true
	}
	var text string // data that is a string, or the beginning of data that is longer than the limit
	return json.Unmarshal(m.Data, &text) == nil && m.In <= tap.DefaultBody && !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") && !strings.HasPrefix(text, `"`)
}

// Weight is roughly the memory that a message takes, in bytes.
func (m *Message) Weight() int {
	n := 600 + len(m.Pattern) + len(m.Path) + len(m.ID) + len(m.Data) + len(m.Reply)
	if m.Error != nil {
		n += len(m.Error.Message) + len(m.Error.Stack)
	}
	for k, v := range m.Metadata {
		n += 32 + len(k) + len(v)
	}
	return n
}
