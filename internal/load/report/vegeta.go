package report

import (
	"bufio"
	"fmt"
	"io"
	"sync"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
)

// Vegeta writes a file that vegeta reads: each request is one of its results,
// stamped with its intended start. Result may be called from many goroutines.
type Vegeta struct {
	name, target string

	mu     sync.Mutex // guards what follows
	out    *bufio.Writer
	encode vegeta.Encoder
	err    error
}

// NewVegeta starts the file; pattern names the attack and target is its URL.
func NewVegeta(to io.Writer, pattern, target string) *Vegeta {
	out := bufio.NewWriterSize(to, 1<<16)
	return &Vegeta{name: pattern, target: target, out: out, encode: vegeta.NewEncoder(out)}
}

// Result writes a request down. The first error is kept for Close.
//
// Subtle: the message is in the URL and not in the attack's name, because vegeta
// draws a line for each attack, and only as far as its numbers have no gap.
func (v *Vegeta) Result(r load.Request) {
	result := vegeta.Result{
		Attack: v.name, Seq: r.Seq, Code: VegetaCode(r.Outcome, r.Status), Timestamp: r.Intended, Latency: r.Latency,
		BytesOut: r.BytesOut, BytesIn: r.BytesIn, Error: r.Text, Method: "SEND", URL: v.target,
	}
	if r.Message != "" && r.Message != v.name {
		result.URL += "#" + r.Message
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		v.err = v.encode.Encode(&result)
	}
}

// Close writes what is left; the file itself is the caller's.
func (v *Vegeta) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		v.err = v.out.Flush()
	}
	if v.err != nil {
		return fmt.Errorf("write the vegeta file: %w", v.err)
	}
	return nil
}

// VegetaCode maps an outcome to the HTTP status that vegeta's reports know: 200
// to 399 is a success to them, 0 a transport error.
func VegetaCode(o load.Outcome, status int) uint16 {
	switch o {
	case load.OK:
		return 200
	case load.Timeout:
		return 504
	case load.Error:
		if status >= 400 && status < 600 {
			return uint16(status)
		}
		return 500
	}
	return 0
}
