package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// allPatterns are patterns of every kind that name handlers of their own, as JSON.
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

// patterns: handlers of every kind of pattern stand side by side, and each gets
// what is its own. Wildcards are left to the tests of those who have them.
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
		e.Fatalf("the transport carries only %d patterns", len(carried))
	}
	c := e.start(s)
	for _, p := range carried {
		ctx, cancel := context.WithTimeout(e.Context(), e.patience/3)
		got := Observe(ctx, c, &micro.Request{Pattern: p, Data: []byte("1")}, 0)
		cancel()
		e.same(p.JSON(), next(p.JSON()), got)
	}
}

func describesItself(_ context.Context, req *micro.Request, reply micro.Reply) error {
	return reply.Send(micro.Value{Raw: json.RawMessage(req.Pattern.JSON()), Last: true})
}

// refusedPatterns: a pattern that cannot travel is refused on both sides, at once and by name.
func refusedPatterns(e *env) {
	for _, text := range allPatterns() {
		p := parse(e, text)
		if !e.tr.Facts.refuses(p) {
			continue
		}
		s, book := e.server()
		micro.HandleFunc(s, p, describesItself)
		link := e.tr.Open(e)
		told := make(chan error, 1)
		ctx, stop := context.WithCancel(e.Context())
		l := link.Listen()
		go func() { told <- s.Serve(ctx, l) }()
		e.listenerTells(p, book, told, func() { stop() })
		stop()
		e.callerIsTold(link, p)
	}
}

// listenerTells wants a server to say that a pattern is out of reach: with the error of Serve or in its log.
func (e *env) listenerTells(p micro.Pattern, book *logBook, served <-chan error, stop func()) {
	e.Helper()
	said := func() bool {
		for line := range strings.Lines(book.String()) {
			if !strings.Contains(line, "level=DEBUG") && !strings.Contains(line, "level=INFO") && containsText(line, p.String()) {
				return true
			}
		}
		return false
	}
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	deadline := time.After(e.patience)
	for !said() {
		select {
		case err := <-served:
			if !said() && (err == nil || !containsText(err.Error(), p.String())) {
				e.Errorf("%s: the server ended with %v, and logged %s", p.JSON(), err, book)
			}
			return
		case <-every.C:
		case <-deadline:
			e.Errorf("%s: the server does not say that no message can reach the handler", p.JSON())
			stop()
			_ = await(e, "the end of the server", served) // it has not said what it should have
			return
		}
	}
	stop()
	_ = await(e, "the end of the server", served) // it may have ended because of the pattern
}

// callerIsTold wants a call and an event to fail at once, with the pattern's name.
func (e *env) callerIsTold(link Link, p micro.Pattern) {
	e.Helper()
	c := e.client(link)
	for _, event := range []bool{false, true} {
		err := c.Do(e.Context(), &micro.Request{Pattern: p, Data: []byte("1"), Event: event}, micro.ReplyFunc(func(micro.Value) error { return nil }))
		switch {
		case err == nil, errors.Is(err, micro.ErrTimeout), errors.Is(err, micro.ErrNoHandler):
			e.Errorf("%s, event %t: the caller is not told: %v", p.JSON(), event, err)
		case !containsText(err.Error(), p.String()):
			e.Errorf("%s, event %t: the error does not name the pattern: %v", p.JSON(), event, err)
		}
	}
}

// containsText looks for a text as it is, and as it looks in quotes.
func containsText(line, text string) bool {
	quoted := fmt.Sprintf("%q", text)
	twice := fmt.Sprintf("%q", quoted)
	return strings.Contains(line, text) || strings.Contains(line, quoted[1:len(quoted)-1]) || strings.Contains(line, twice[1:len(twice)-1])
}

// patternLayouts: a pattern reaches its handler however it is written.
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

// unknown: a request that nobody handles ends at once, and the next one is handled.
func unknown(e *env) {
	s, book := e.server()
	micro.HandleFunc(s, echo, passThrough)
	c := e.start(s)
	for range 3 {
		start := time.Now()
		_, err := micro.Call[int](e.Context(), c, micro.Cmd("nobody"), 1)
		e.is("nobody", err, e.tr.Facts.unknown())
		if took := time.Since(start); took > e.patience/2 {
			e.Errorf("the caller was told after %v", took)
		}
		if text := fmt.Sprint(err); !containsText(text, `{"cmd":"nobody"}`) {
			e.Errorf("the error does not name the pattern: %s", text)
		}
		e.same("the next", next("1"), e.ask(c, echo, "1"))
	}
	if err := c.Emit(e.Context(), micro.Cmd("nobody"), 1); err != nil && !errors.Is(err, micro.ErrUnreachable) {
		e.Errorf("an event that nobody handles: %v", err)
	}
	e.same("after the event", next("1"), e.ask(c, echo, "1"))
	if text := book.String(); strings.Contains(text, "panic") {
		e.Error(text)
	}
}
