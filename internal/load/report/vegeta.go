package report

import (
	"bufio"
	"fmt"
	"io"
	"sync"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
)

// Vegeta writes a file for vegeta, in which each request is a result with its intended
// start as the timestamp. Create it with NewVegeta. Result is safe for concurrent use.
type Vegeta struct {
	name, target string

	mu     sync.Mutex // guards the fields below
	out    *bufio.Writer
	encode vegeta.Encoder
	err    error
}

// NewVegeta returns a Vegeta that writes to a file. pattern is the name of the attack,
// and target its URL.
func NewVegeta(to io.Writer, pattern, target string) *Vegeta {
	out := bufio.NewWriterSize(to, 1<<16)
	return &Vegeta{name: pattern, target: target, out: out, encode: vegeta.NewEncoder(out)}
}

// Result writes a request. Close returns the first error.
//
// Subtle: the message is part of the URL rather than the attack's name, because vegeta
// plots a line for each attack, and stops at the first gap in its sequence numbers.
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

// Close writes buffered results. It does not close the file.
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

// VegetaCode maps an outcome to an HTTP status for vegeta, which counts 200 to 399 as
// success and 0 as a transport error.
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
