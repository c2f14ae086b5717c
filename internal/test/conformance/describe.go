package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// describe checks the health and the description of a server, with the reserved patterns and with those of its name.
func describe(e *env) {
	s, _ := e.server(micro.WithName("items", "1.2.3"), micro.WithHealthCheck("store", func(context.Context) error { return nil }))
	micro.HandleFunc(s, echo, passThrough, micro.WithDoc("returns its input"))
	micro.HandleStream(s, micro.Cmd("count"), numbers(nil))
	micro.HandleEvent(s, note, func(context.Context, micro.None) error { return nil })
	c := e.start(s)
	e.same("echo", next("1"), e.ask(c, echo, "1"))
	var instance string
	for _, p := range []micro.Pattern{micro.HealthPattern, micro.HealthOf("items")} {
		h, err := micro.Call[micro.Health](e.Context(), c, p, micro.None{})
		e.is("health", err, nil)
		if h.Status != "ok" || h.Name != "items" || h.Version != "1.2.3" || h.Instance == "" || h.Checks["store"] != "ok" {
			e.Errorf("%s: %+v", p, h)
		}
		instance = h.Instance
	}
	for _, p := range []micro.Pattern{micro.DescribePattern, micro.DescribeOf("items")} {
		d, err := micro.Call[micro.Description](e.Context(), c, p, micro.None{})
		e.is("describe", err, nil)
		var kinds []string
		for _, h := range d.Handlers {
			kinds = append(kinds, h.Route+" "+h.Kind)
		}
		e.same("handlers", []string{`{"cmd":"echo"} stream`, `{"cmd":"count"} stream`, `noted event`}, kinds)
		if d.Instance != instance || d.Name != "items" || d.Handlers[0].Doc != "returns its input" {
			e.Errorf("%s: %+v", p, d)
		}
	}
	e.eventually("the call has been counted", func() bool { return e.described(c, echo).Calls == 1 })
	_, err := micro.Call[micro.Health](e.Context(), c, micro.HealthOf("another"), micro.None{})
	e.is("health of another", err, e.tr.Facts.unknown())
}

// described returns the server's description of one handler.
func (e *env) described(c *micro.Client, p micro.Pattern) micro.HandlerInfo {
	e.Helper()
	d, err := micro.Call[micro.Description](e.Context(), c, micro.DescribePattern, micro.None{})
	e.is("describe", err, nil)
	for _, h := range d.Handlers {
		if h.Route == p.Route() {
			return h
		}
	}
	e.Fatalf("%s is not in the description", p)
	return micro.HandlerInfo{}
}

// traced records what a Trace reports.
type traced struct {
	mu    sync.Mutex
	wrote []string
	read  []string
	at    []time.Time
}

func (t *traced) trace() *micro.Trace {
	note := func(list *[]string) func(time.Time, []byte) {
		return func(at time.Time, packet []byte) {
			t.mu.Lock()
			defer t.mu.Unlock()
			*list = append(*list, string(packet))
			t.at = append(t.at, at)
		}
	}
	return &micro.Trace{Wrote: note(&t.wrote), Read: note(&t.read)}
}

// trace checks that a Trace reports the packets of a message, in order and with the right times.
func trace(e *env) {
	s, _ := e.server()
	micro.HandleFunc(s, micro.Cmd("three"), sends("1", "null", `"é😀"`))
	micro.HandleEvent(s, note, func(context.Context, micro.None) error { return nil })
	micro.Handle(s, micro.Cmd("fail"), func(context.Context, micro.None) (micro.None, error) {
		return micro.None{}, micro.Errorf(404, "nothing")
	})
	c := e.start(s)
	start := time.Now()
	for _, test := range []struct {
		pattern  micro.Pattern
		event    bool
		response []string // the value or the error in each packet
	}{
		{micro.Cmd("three"), false, []string{"1", "null", `"é😀"`}},
		{micro.Cmd("fail"), false, []string{`{"status":404,"message":"nothing"}`}},
		{note, true, nil},
	} {
		var seen traced
		err := c.Do(e.Context(), &micro.Request{Pattern: test.pattern, Data: []byte(`{"a":"é😀"}`), Event: test.event, Trace: seen.trace()},
			micro.ReplyFunc(func(micro.Value) error { return nil }))
		if err != nil && !errors.As(err, new(*micro.Error)) {
			e.Errorf("%s: %v", test.pattern, err)
		}
		e.checkSent(test.pattern, test.event, &seen)
		var responses []string
		for _, packet := range seen.read {
			p, err := wire.Parse([]byte(packet))
			e.is("read "+packet, err, nil)
			value, remote, _ := p.Reply()
			responses = append(responses, string(value)+string(remote))
		}
		e.same("packets read", test.response, responses)
		for i, at := range seen.at {
			if at.Before(start) || at.After(time.Now()) || i > 0 && at.Before(seen.at[i-1]) {
				e.Errorf("%s: packet %d of %d at %v, want between %v and %v", test.pattern, i, len(seen.at), at, start, time.Now())
			}
		}
	}
}

// checkSent checks the packet of a request or an event.
func (e *env) checkSent(pattern micro.Pattern, event bool, seen *traced) {
	e.Helper()
	if len(seen.wrote) != 1 {
		e.Fatalf("%s: %d packets written, want 1", pattern, len(seen.wrote))
	}
	var sent struct {
		Pattern json.RawMessage
		Data    json.RawMessage
		ID      json.RawMessage
	}
	e.is("packet", json.Unmarshal([]byte(seen.wrote[0]), &sent), nil)
	e.same("data", `{"a":"é😀"}`, string(sent.Data))
	e.same("event", event, sent.ID == nil)
	if name := strings.Trim(pattern.JSON(), `{}"`); !strings.Contains(strings.Trim(string(sent.Pattern), `{}"`), strings.Trim(name, `"`)) {
		e.Errorf("the pattern of %s is %s", pattern, sent.Pattern)
	}
}
