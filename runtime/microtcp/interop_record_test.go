package microtcp_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/msctl/msctl/internal/test/testenv"
)

// This file reads testdata/wire: what real NestJS programs sent and did (docs/wire.md 11).

// frameRecord is a line of tcp_frames*.jsonl: a frame with its direction, or what the client's caller observed.
type frameRecord struct {
	Scenario string            `json:"scenario"`
	Dir      string            `json:"dir"`
	Bytes    []byte            `json:"bytes"`
	Text     string            `json:"text"`
	Packet   json.RawMessage   `json:"packet"`
	Observed []json.RawMessage `json:"observed"`
}

// scenario is all lines of one scenario.
type scenario struct {
	name     string
	requests []frameRecord // client to server, events too
	replies  []string      // the frames server to client
	observed []string      // compact JSON
}

// errorRecord is a line of errors*.jsonl.
type errorRecord struct {
	Handler        string            `json:"handler"`
	ReplyPackets   []json.RawMessage `json:"replyPackets"`
	ClientObserved []json.RawMessage `json:"clientObserved"`
}

// inputRecord is a line of tcp_bad_input*.jsonl.
type inputRecord struct {
	Note          string     `json:"note"`
	ServerOptions nodeLimits `json:"serverOptions"`
	Sent          []struct {
		Bytes   []byte `json:"bytes"`
		DelayMs int    `json:"delayMs"`
		Fin     bool   `json:"fin"`
	} `json:"sent"`
	Replies     []string `json:"replies"`
	Connection  string   `json:"connection"`
	StillUsable *bool    `json:"stillUsable"`
	HandlerRuns int      `json:"handlerRuns"`
}

type nodeLimits struct {
	MaxBufferSize            int `json:"maxBufferSize"`
	IncompleteMessageTimeout int `json:"incompleteMessageTimeout"` // ms
}

// replyRecord is a line of tcp_client_replies*.jsonl. A script holds packets, pauses in ms, and RAW:, CLOSE and RESET.
type replyRecord struct {
	Note           string            `json:"note"`
	ServerScript   []any             `json:"serverScript"`
	ClientObserved []json.RawMessage `json:"clientObserved"`
}

// suffix is how the files of a version are named.
func suffix(version testenv.Version) string {
	if version == testenv.Nest12 {
		return ""
	}
	return "_" + string(version)
}

// readRecords reads a file of testdata/wire. Lines end at \n only: some hold U+2028.
func readRecords[T any](t testing.TB, name string) []T {
	t.Helper()
	file, err := os.Open(filepath.Join(testenv.Root(), "testdata", "wire", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var records []T
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var record T
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			t.Fatalf("%s line %d: %v", name, len(records)+1, err)
		}
		records = append(records, record)
	}
	if len(records) == 0 || lines.Err() != nil {
		t.Fatalf("%s: %d records, %v", name, len(records), lines.Err())
	}
	return records
}

func readScenarios(t testing.TB, version testenv.Version) []*scenario {
	t.Helper()
	var scenarios []*scenario
	for _, record := range readRecords[frameRecord](t, "tcp_frames"+suffix(version)+".jsonl") {
		if n := len(scenarios); n == 0 || scenarios[n-1].name != record.Scenario {
			scenarios = append(scenarios, &scenario{name: record.Scenario})
		}
		s := scenarios[len(scenarios)-1]
		switch record.Dir {
		case "client->server":
			s.requests = append(s.requests, record)
		case "server->client":
			s.replies = append(s.replies, string(record.Bytes))
		default:
			for _, event := range record.Observed {
				s.observed = append(s.observed, compact(event))
			}
		}
	}
	return scenarios
}

func compact(text []byte) string {
	var out bytes.Buffer
	if json.Compact(&out, text) != nil {
		return string(text)
	}
	return out.String()
}

func compactAll(texts []json.RawMessage) []string {
	var out []string
	for _, text := range texts {
		out = append(out, compact(text))
	}
	return out
}

// nodeFrame frames a body as NestJS does. It is written apart from the codec it tests.
func nodeFrame(body string) string {
	return strconv.Itoa(len(utf16.Encode([]rune(body)))) + "#" + body
}

// nodeUnframe takes the complete frames off the front of a stream and returns them whole, with what is left. The
// stream must be valid UTF-8.
func nodeUnframe(stream string) (frames []string, rest string) {
	for {
		header, body, found := strings.Cut(stream, "#")
		units, err := strconv.Atoi(header)
		if !found || err != nil {
			return frames, stream
		}
		end := 0
		for i, r := range body {
			if units <= 0 {
				break
			}
			units -= utf16.RuneLen(r)
			end = i + len(string(r))
		}
		if units != 0 {
			return frames, stream
		}
		frames = append(frames, stream[:len(header)+1+end])
		stream = body[end:]
	}
}
