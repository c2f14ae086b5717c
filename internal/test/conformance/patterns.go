package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// allPatterns returns patterns of every kind, as JSON. No two of them identify the same handler.
func allPatterns() []string {
	return []string{
		`"plain"`, `"with space"`, `"dots.in.it"`, `"dots.in"`, `"UPPER"`, `"upper"`, `"trailing."`, `".leading"`, `"a..b"`, `"é"`, `"😀"`, `"e\u0301"`, `"\ud83d"`,
		`"quote\"s"`, `"back\\slash"`, `"tab\t"`, `"line\nbreak"`, `"carriage\r"`, `"nul\u0000"`, `"\u2028"`, `"slash/"`, `"per%cent"`, `"co:lon"`, `"_under"`, `"$dollar"`, `"-"`,
		`"*"`, `">"`, `"#"`, `"?"`, `"[ab]"`, `"orders.*"`, `"orders.>"`, `"orders.#"`, `"h?llo"`, `"star*red"`, `"{}x"`, `"007"`, `""`,
		`"` + strings.Repeat("long", 60) + `"`,
		`42`, `-1.5`, `[1,2]`, `{}`, `{"cmd":"a"}`, `{"cmd":"b"}`, `{"cmd":"with space"}`, `{"cmd":"dots.in.it"}`, `{"cmd":"*"}`, `{"cmd":">"}`, `{"cmd":"q\"\\"}`, `{"cmd":"é😀"}`,
		`{"cmd":1}`, `{"cmd":true}`, `{"cmd":null}`, `{"cmd":"a","v":2}`, `{"a":{"d":"x","c":[1,{"e":null}]},"b":2}`, `{"":""}`, `{"10":1,"9":2,"Z":3,"a":4}`,
	}
}

// patterns checks that a message of every kind of pattern reaches its own handler.
// The packages of the transports test wildcards.
func patterns(e *env) {
	s, _ := e.server()
	var carried []micro.Pattern
	for _, text := range allPatterns() {
		if p := parse(e, text); !e.tr.Facts.refuses(p) && !e.tr.Facts.ambiguous(p) {
			carried = append(carried, p)
			micro.HandleFunc(s, p, describesItself)
		}
	}
	if len(carried) < 20 {
		e.Fatalf("the transport carries only %d patterns, want at least 20", len(carried))
	}
	c := e.start(s)
	for _, p := range carried {
		ctx, cancel := context.WithTimeout(e.Context(), e.timeout/3)
		got := Observe(ctx, c, &micro.Request{Pattern: p, Data: []byte("1")}, 0)
		cancel()
		e.same(p.JSON(), next(p.JSON()), got)
	}
}

func describesItself(_ context.Context, req *micro.Request, reply micro.Reply) error {
	return reply.Send(micro.Value{Raw: json.RawMessage(req.Pattern.JSON()), Last: true})
}

// refusedPatterns checks that both sides refuse a pattern that the transport cannot carry, immediately and with its name.
func refusedPatterns(e *env) {
	for _, text := range allPatterns() {
		p := parse(e, text)
		if !e.tr.Facts.refuses(p) {
			continue
		}
		s, book := e.server()
		micro.HandleFunc(s, p, describesItself)
		link := e.tr.Open(e)
		served := make(chan error, 1)
		ctx, stop := context.WithCancel(e.Context())
		l := link.Listen()
		go func() { served <- s.Serve(ctx, l) }()
		e.serverReports(p, book, served, func() { stop() })
		stop()
		e.clientReports(link, p)
	}
}

// serverReports checks that a server reports that it cannot receive a pattern: with the error of Serve or in its log.
func (e *env) serverReports(p micro.Pattern, book *testenv.Log, served <-chan error, stop func()) {
	e.Helper()
	logged := func() bool {
		for line := range strings.Lines(book.String()) {
			if !strings.Contains(line, "level=DEBUG") && !strings.Contains(line, "level=INFO") && containsText(line, p.String()) {
				return true
			}
		}
		return false
	}
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	deadline := time.After(e.timeout)
	for !logged() {
		select {
		case err := <-served:
			if !logged() && (err == nil || !containsText(err.Error(), p.String())) {
				e.Errorf("%s: Serve returned %v and logged %s", p.JSON(), err, book)
			}
			return
		case <-every.C:
		case <-deadline:
			e.Errorf("%s: the server does not report that no message can reach the handler", p.JSON())
			stop()
			_ = await(e, "the end of the server", served) // the test has failed already
			return
		}
	}
	stop()
	_ = await(e, "the end of the server", served) // an error because of the pattern is fine
}

// clientReports checks that a call and an event fail immediately, with the pattern's name.
func (e *env) clientReports(link Link, p micro.Pattern) {
	e.Helper()
	c := e.client(link)
	for _, event := range []bool{false, true} {
		err := c.Do(e.Context(), &micro.Request{Pattern: p, Data: []byte("1"), Event: event}, micro.ReplyFunc(func(micro.Value) error { return nil }))
		switch {
		case err == nil, errors.Is(err, micro.ErrTimeout), errors.Is(err, micro.ErrNoHandler):
			e.Errorf("%s, event %t: error %v, want one that reports the pattern", p.JSON(), event, err)
		case !containsText(err.Error(), p.String()):
			e.Errorf("%s, event %t: the error does not name the pattern: %v", p.JSON(), event, err)
		}
	}
}

// containsText reports whether a line contains a text, unquoted, quoted, or quoted twice.
func containsText(line, text string) bool {
	quoted := fmt.Sprintf("%q", text)
	twice := fmt.Sprintf("%q", quoted)
	return strings.Contains(line, text) || strings.Contains(line, quoted[1:len(quoted)-1]) || strings.Contains(line, twice[1:len(twice)-1])
}

// patternLayouts checks that every JSON text of a pattern reaches its handler.
func patternLayouts(e *env) {
	s, _ := e.server()
	first, second := parse(e, `{"b":2,"a":{"d":"x","c":true}}`), parse(e, `{"z":[1,{"y":null,"x":1}],"service":"items","method":"find"}`)
	micro.HandleFunc(s, first, sends(`"first"`))
	micro.HandleFunc(s, second, sends(`"second"`))
	micro.HandleFunc(s, micro.Name("42"), sends(`"number"`))
	micro.HandleFunc(s, echo, sends(`"echo"`))
	c := e.start(s)
	for text, want := range map[string]string{
		`{"b":2,"a":{"d":"x","c":true}}`:                                       "first",
		`{"a":{"c":true,"d":"x"},"b":2.0}`:                                     "first",
		`{"b" : 2 , "a" : { "d" : "\u0078" , "c" : true } }`:                   "first",
		`{"method":"find","service":"items","z":[1,{"x":1,"y":null}]}`:         "second",
		`{"z":{"0":1,"1":{"x":1,"y":null}},"method":"find","service":"items"}`: "second",
		`42`:                   "number",
		`"42"`:                 "number",
		`4.2e1`:                "number",
		`{"cmd":"echo"}`:       "echo",
		`"{\"cmd\":\"echo\"}"`: "echo",
	} {
		e.same(text, next(`"`+want+`"`), e.ask(c, parse(e, text), "1"))
	}
	for _, text := range []string{`{"cmd":"Echo"}`, `{"cmd":"echo","v":1}`, `"echo"`, `"cmd"`, `43`} {
		if got := e.ask(c, parse(e, text), "1"); len(got) != 1 || !strings.HasPrefix(got[0], `{"error":`) {
			e.Errorf("%s reached a handler: %v", text, got)
		}
	}
}

// unknown checks that a request without a handler fails immediately, and that the next request succeeds.
func unknown(e *env) {
	s, book := e.server()
	micro.HandleFunc(s, echo, passThrough)
	c := e.start(s)
	for range 3 {
		start := time.Now()
		_, err := micro.Call[int](e.Context(), c, micro.Cmd("unknown"), 1)
		e.is("unknown pattern", err, e.tr.Facts.unknown())
		if took := time.Since(start); took > e.timeout/2 {
			e.Errorf("the error was returned after %v", took)
		}
		if text := fmt.Sprint(err); !containsText(text, `{"cmd":"unknown"}`) {
			e.Errorf("the error does not name the pattern: %s", text)
		}
		e.same("the next request", next("1"), e.ask(c, echo, "1"))
	}
	if err := c.Emit(e.Context(), micro.Cmd("unknown"), 1); err != nil && !errors.Is(err, micro.ErrUnreachable) {
		e.Errorf("an event without a handler: %v", err)
	}
	e.same("after the event", next("1"), e.ask(c, echo, "1"))
	if text := book.String(); strings.Contains(text, "panic") {
		e.Error(text)
	}
}
