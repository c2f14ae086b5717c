package testenv

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
)

// Call is one call of a NestJS client. If both Data and JS are zero, the data is {}.
type Call struct {
	Pattern  json.RawMessage `json:"pattern"`
	Data     json.RawMessage `json:"data,omitempty"`
	JS       string          `json:"js,omitempty"` // a JavaScript expression for data that JSON cannot hold; see testdata/nest/README.md
	Emit     bool            `json:"emit,omitempty"`
	Timeout  int             `json:"timeout,omitempty"` // in milliseconds; 0 is none
	Take     int             `json:"take,omitempty"`    // stop after this many values; 0 is all
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// Event is one thing that the caller of a NestJS client observed.
type Event struct {
	Kind      string          `json:"event"` // next, error, complete, or emitted
	Value     json.RawMessage `json:"value"` // of next
	Undefined bool            `json:"undefined"`
	Error     json.RawMessage `json:"error"` // of error
}

// String returns the event in the form of the recorded scenarios: {"next":1}, {"error":…}, {"complete":true}.
func (e Event) String() string {
	switch {
	case e.Kind == "next" && e.Undefined:
		return `{"next":"(undefined)"}`
	case e.Kind == "next":
		return `{"next":` + compactJSON(e.Value) + `}`
	case e.Kind == "error":
		return `{"error":` + compactJSON(e.Error) + `}`
	default:
		return fmt.Sprintf(`{%q:true}`, e.Kind)
	}
}

// NestProxy is a running testdata/nest/nest-client.mjs: a real ClientProxy with one connection, for any number of calls.
// It is safe for concurrent use.
type NestProxy struct {
	program *program

	mu    sync.Mutex // guards the fields below and writes to the program
	last  int
	calls map[int]chan Event
	err   error
}

// StartNestProxy starts the NestJS client of a version with arguments for testdata/nest/nest-client.mjs: --port for a TCP
// service at 127.0.0.1, or --transport and --url for a broker. It connects at the first call. The caller closes it.
func StartNestProxy(version Version, args ...string) (*NestProxy, error) {
	program, err := startProgram(version, "nest-client.mjs", append([]string{"--stdin"}, args...)...)
	if err != nil {
		return nil, err
	}
	proxy := &NestProxy{program: program, calls: map[int]chan Event{}}
	go proxy.deliver()
	return proxy, nil
}

// NestClient is like StartNestProxy, for one test: it skips the test if the version is not installed, and closes the
// client when the test ends.
func NestClient(tb testing.TB, version Version, args ...string) *NestProxy {
	tb.Helper()
	NeedNest(tb, version)
	proxy, err := StartNestProxy(version, args...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(proxy.Close)
	return proxy
}

// Call makes a call and returns everything that its caller observed, including the end. It returns an error if the client
// program exits first.
func (p *NestProxy) Call(call Call) ([]Event, error) {
	if call.Data == nil && call.JS == "" {
		call.Data = json.RawMessage("{}")
	}
	events, err := p.send(call)
	if err != nil {
		return nil, err
	}
	var observed []Event
	for event := range events {
		observed = append(observed, event)
		if event.Kind != "next" {
			return observed, nil
		}
	}
	return observed, fmt.Errorf("nest-client.mjs exited during a call: %s", p.program.stderr.String())
}

func (p *NestProxy) send(call Call) (<-chan Event, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	p.last++
	line, err := json.Marshal(struct {
		Number int `json:"call"`
		Call
	}{p.last, call})
	if err != nil {
		return nil, fmt.Errorf("encode the call for nest-client.mjs: %w", err)
	}
	events := make(chan Event, 256)
	p.calls[p.last] = events
	if _, err := p.program.stdin.Write(append(line, '\n')); err != nil {
		delete(p.calls, p.last)
		return nil, fmt.Errorf("write to nest-client.mjs: %w", err)
	}
	return events, nil
}

// deliver passes each line to the call that it belongs to, until the program exits.
func (p *NestProxy) deliver() {
	for line := range p.program.lines {
		var event struct {
			Number int `json:"call"`
			Event
		}
		if json.Unmarshal([]byte(line), &event) != nil || event.Number == 0 {
			continue // the NestJS logger also writes to stdout
		}
		p.mu.Lock()
		events := p.calls[event.Number]
		if event.Kind != "next" {
			delete(p.calls, event.Number)
		}
		p.mu.Unlock()
		if events != nil {
			events <- event.Event
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = fmt.Errorf("nest-client.mjs exited: %s", p.program.stderr.String())
	for _, events := range p.calls {
		close(events)
	}
}

// Close waits for running calls, closes the connection, and waits for the program to exit.
func (p *NestProxy) Close() {
	_ = p.program.stdin.Close()
	p.program.awaitEnd(startLimit)
}
