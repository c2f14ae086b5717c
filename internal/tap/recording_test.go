package tap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/tap"
)

const recorded = `
{"kind":"send","span":"01","trace":"t","pattern":"\"a\"","start":10,"took":9,"outcome":"ok","data":{"id":"a"},"service":"gateway"}

{"dropped":3,"service":"items"}
{"kind":"handle","span":"02","parent":"01","open":true,"service":"items"}  `

func TestReadRecording(t *testing.T) {
	var got []string
	err := ReadRecording(strings.NewReader(recorded), func(line int, m *Message) error {
		got = append(got, fmt.Sprintf("%d %s %s %s %d", line, m.Service, m.Kind, m.Span, m.Dropped))
		return nil
	})
	want := []string{"2 gateway send 01 0", "4 items   3", "5 items handle 02 0"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	stop := errors.New("stop")
	if err := ReadRecording(strings.NewReader(recorded), func(int, *Message) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v, want the error of the caller", err)
	}
}

// TestReadRecordingLargest checks that the largest record that a hub accepts can be read after it has been written, with
// its characters escaped.
func TestReadRecordingLargest(t *testing.T) {
	m := Message{Service: "items"}
	m.Kind, m.Span, m.Pattern = tap.Send, "01", strings.Repeat("<", maxLine)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	err = ReadRecording(bytes.NewReader(text), func(_ int, m *Message) error {
		read = len(m.Pattern)
		return nil
	})
	if err != nil || read != maxLine {
		t.Errorf("%d bytes, %v", read, err)
	}
}

func TestReadRecordingErrors(t *testing.T) {
	for _, tt := range []struct {
		from io.Reader
		want string
	}{
		{strings.NewReader("\nno json"), "line 2 is not a record of a message: "},
		{strings.NewReader(`[]`), "line 1 is not a record of a message: "},
		{strings.NewReader(`{}`), "line 1 is not a record of a message: it has no kind or no span"},
		{strings.NewReader(`{"span":"1"}`), "line 1 is not a record of a message: it has no kind or no span"},
		{strings.NewReader(`{"span":1}`), "line 1 is not a record of a message: "},
		{strings.NewReader(`{"dropped":-1}`), "line 1 is not a record of a message: it has no kind or no span"},
		{strings.NewReader("{\"dropped\":1}\n" + strings.Repeat(" ", maxRecord+1)), "line 2 is longer than 4 MiB"},
		{strings.NewReader(strings.Repeat("\n", maxRecords+1)), "line 2000001: a recording has at most 2000000 lines"},
		{iotest.ErrReader(io.ErrUnexpectedEOF), "line 1: unexpected EOF"},
	} {
		err := ReadRecording(tt.from, func(int, *Message) error { return nil })
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// FuzzReadRecording checks that no recording breaks the reader, and that what it accepts can be written and read again.
func FuzzReadRecording(f *testing.F) {
	f.Add([]byte(recorded))
	f.Add([]byte(`{"kind":"send","span":"1","took":-9223372036854775808,"metadata":{"a":"b"},"error":{"message":"x"},"id":[1]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = ReadRecording(bytes.NewReader(text), func(_ int, m *Message) error {
			again, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if err := ReadRecording(bytes.NewReader(again), func(int, *Message) error { return nil }); err != nil {
				t.Fatalf("%s: %v", again, err)
			}
			return nil
		})
	})
}

// TestHasData checks which records have the data of their message completely.
func TestHasData(t *testing.T) {
	for _, tt := range []struct {
		text string
		want bool
	}{
		{`{}`, true},
		{`{"in":2,"data":{}}`, true},
		{`{"in":2}`, false},
		{`{"in":16385,"data":"{\"\"\"\"\"","cut":true}`, false},
		{`{"in":5,"data":"abc","cut":true}`, true}, // only the reply was cut
		{`{"in":99,"data":{"a":1},"cut":true}`, true},
		{`{"in":300,"data":"{\"a\":","cut":true}`, false}, // with a lower limit
	} {
		m, err := ParseMessage([]byte(tt.text))
		if err != nil || m.HasData() != tt.want {
			t.Errorf("%s: %t, %v", tt.text, m.HasData(), err)
		}
	}
}
