package agents

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// The timing of the protocol.
const (
	beatStep      = 250 * time.Millisecond
	reportStep    = time.Second
	silence       = time.Second            // after which an agent is asked
	askTimeout    = 500 * time.Millisecond // for the answer
	leaseStep     = 2 * time.Second
	leaseLength   = 9 * time.Second        // an agent must stop within 10 s
	leadTime      = 300 * time.Millisecond // between go and the first request
	goTimeout     = 5 * time.Second        // an agent that starts late reports that
	changeLead    = 200 * time.Millisecond // between a change and its effect
	clockStep     = 10 * time.Second
	findTime      = 3 * time.Second
	armTimeout    = 60 * time.Second
	reconnectWait = 100 * time.Millisecond
)

// Sizes of messages. A NATS server accepts 1 MB by default.
const (
	pieceSize  = 256 << 10 // of a file
	reportSize = 512 << 10 // of a part of a report
	maxFile    = 1 << 30
	maxReport  = 64 << 20
	readers    = 4 // pieces of a file that are requested at once
)

// subjects are the subjects of a pool.
type subjects struct{ pool string }

func (s subjects) find() string           { return "msctl.bench." + s.pool + ".find" }
func (s subjects) agent(id string) string { return "msctl.bench." + s.pool + ".agent." + id }
func (s subjects) run(id, what string) string {
	return "msctl.bench." + s.pool + ".run." + id + "." + what
}

// The states of an agent.
const (
	stateIdle    = "idle"
	stateArming  = "arming"
	stateArmed   = "armed"
	stateRunning = "running"
)

// presence is the reply to find.
type presence struct {
	ID      string   `json:"id"`
	Host    string   `json:"host"`
	Pid     int      `json:"pid"`
	CPUs    int      `json:"cpus"`
	Version string   `json:"version"`
	Nonce   string   `json:"nonce"`
	State   string   `json:"state"`
	Allow   []string `json:"allow"`
	Trust   string   `json:"trust"`
}

// The kinds of commands.
const (
	kindPlan   = "plan"
	kindGo     = "go"
	kindChange = "change"
	kindLease  = "lease"
	kindStop   = "stop"
	kindAsk    = "ask"
)

// command is what the coordinator orders. It travels signed.
type command struct {
	Pool  string `json:"pool"`
	Run   string `json:"run"`
	Agent string `json:"agent"`
	Nonce string `json:"nonce"`
	Seq   uint64 `json:"seq"`
	Kind  string `json:"kind"`

	Plan   *plan         `json:"plan,omitempty"`
	Start  time.Duration `json:"start,omitempty"` // of kindGo: on the coordinator's clock
	Change *change       `json:"change,omitempty"`
}

// plan is what an agent is to run.
type plan struct {
	Index int    `json:"index"`
	Of    int    `json:"of"`
	Files []file `json:"files"` // the first is the bench.Shared as JSON
}

// file describes a file that an agent fetches.
type file struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func describe(name string, content []byte) file {
	sum := sha256.Sum256(content)
	return file{name, int64(len(content)), hex.EncodeToString(sum[:])}
}

// change is a live change, which takes effect at a time of the run.
type change struct {
	At      time.Duration `json:"at"`
	Rate    float64       `json:"rate,omitempty"`
	Users   int           `json:"users,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
	Retries *int          `json:"retries,omitempty"`
	Preset  string        `json:"preset,omitempty"`
	Fire    bool          `json:"fire,omitempty"`
}

// reply is the answer to a command: Refused is the reason why it was not carried out.
type reply struct {
	Refused string `json:"refused,omitempty"`
	Code    int    `json:"code,omitempty"` // the exit code for the reason
	Hint    string `json:"hint,omitempty"`
	State   string `json:"state"`
	// ClockError bounds the error of the agent's clock, once it is armed.
	ClockError time.Duration `json:"clock_error,omitempty"`
}

// request is what agents ask the coordinator for.
type request struct {
	Agent  string `json:"agent"`
	File   int    `json:"file"`
	Offset int64  `json:"offset"`
}

// beat reports that an agent is alive.
type beat struct {
	Agent string `json:"agent"`
	State string `json:"state"`
}

// part is a part of a report, which may be longer than a message.
type part struct {
	Agent string `json:"agent"`
	Seq   uint64 `json:"seq"` // of the report
	Part  int    `json:"part"`
	Parts int    `json:"parts"`
	Data  []byte `json:"data"`
}

// report is what an agent has counted.
type report struct {
	Final      bool          `json:"final"`
	State      *load.State   `json:"state"`
	Faults     [][3]int64    `json:"faults,omitempty"`
	ClockError time.Duration `json:"clock_error"`
}

// pack encodes a report and splits it.
func (r *report) pack(agent string, seq uint64) ([]part, error) {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestSpeed) // the level is valid
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return nil, fmt.Errorf("encode a report: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress a report: %w", err)
	}
	var parts []part
	for data := out.Bytes(); len(parts) == 0 || len(data) > 0; {
		n := min(len(data), reportSize)
		parts = append(parts, part{Agent: agent, Seq: seq, Part: len(parts), Data: data[:n]})
		data = data[n:]
	}
	for i := range parts {
		parts[i].Parts = len(parts)
	}
	return parts, nil
}

// unpack decodes a report.
func unpack(data []byte) (*report, error) {
	in := io.LimitReader(flate.NewReader(bytes.NewReader(data)), maxReport)
	var r report
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return nil, fmt.Errorf("decode a report: %w", err)
	}
	if r.State == nil {
		return nil, fmt.Errorf("decode a report: it is empty")
	}
	return &r, nil
}

// newID returns an ID that cannot be guessed.
func newID() string { return rand.Text()[:16] }

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil { // the types of this package can be encoded
		panic(err)
	}
	return data
}
