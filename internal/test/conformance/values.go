package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// values checks that every kind of JSON value is transferred unchanged.
func values(e *env) {
	s, _ := e.server()
	micro.HandleFunc(s, echo, passThrough)
	c := e.start(s)
	for _, text := range []string{
		`null`, `true`, `false`, `0`, `-0`, `1`, `-1.5`, `1e+21`, `1.0`, `""`, `"text"`, `[]`, `{}`, `[1,"a",null,[],{}]`,
		`{"a":1,"b":{"c":[true,false,null]}}`, `{"b":1,"a":2}`, `{"10":1,"2":2}`, `{"a":1,"a":2}`, `{"":1}`,
		`{"response":1,"isDisposed":true}`, `{"err":"x"}`, `{"pattern":"x","data":1,"id":"y"}`, `{"id":"1"}`, `{"status":"error","message":"m"}`,
		`{ "spaced" : [ 1 , 2 ] }`,
	} {
		e.same(text, next(text), e.ask(c, echo, text))
	}
}

type article struct {
	ID       int64             `json:"id"`
	Name     string            `json:"name"`
	Price    float64           `json:"price"`
	Tags     []string          `json:"tags"`
	Options  map[string]string `json:"options"`
	Parent   *article          `json:"parent"`
	At       time.Time         `json:"at"`
	Contents []byte            `json:"contents"`
}

// typedValues checks that Go values are transferred unchanged.
func typedValues(e *env) {
	s, _ := e.server()
	micro.Handle(s, echo, func(_ context.Context, in article) (article, error) { return in, nil })
	micro.Handle(s, micro.Cmd("pointer"), func(_ context.Context, in *article) (*article, error) { return in, nil })
	micro.Handle(s, micro.Cmd("double"), func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	micro.Handle(s, micro.Cmd("any"), func(_ context.Context, in any) (any, error) { return in, nil })
	c := e.start(s)
	want := article{
		ID: 1<<53 + 1, Name: "Tasse é 😀", Price: 19.95, Tags: []string{"a", ""}, Options: map[string]string{"k": "v"},
		Parent: &article{Tags: []string{}}, At: time.Date(2026, 1, 31, 10, 0, 0, 5, time.UTC), Contents: []byte{0, 255},
	}
	got, err := micro.Call[article](e.Context(), c, echo, want)
	e.is("call", err, nil)
	want.Parent.Options = got.Parent.Options // the codec decides between null and {}
	want.Parent.Contents = got.Parent.Contents
	e.same("article", want, got)
	nothing, err := micro.Call[*article](e.Context(), c, micro.Cmd("pointer"), json.RawMessage("null"))
	e.is("pointer", err, nil)
	e.same("a nil pointer", (*article)(nil), nothing)
	n, err := micro.Call[int](e.Context(), c, micro.Cmd("double"), 21)
	e.is("double", err, nil)
	e.same("double", 42, n)
	v, err := micro.Call[any](e.Context(), c, micro.Cmd("any"), []any{"x", nil, true, 1.5})
	e.is("any", err, nil)
	e.same("any", any([]any{"x", nil, true, 1.5}), v)
}

// noValue checks that null, undefined, and an answer without a value are distinguished.
func noValue(e *env) {
	s, _ := e.server()
	undefined, nothing, null := micro.Cmd("undefined"), micro.Cmd("nothing"), micro.Cmd("null")
	data := make(chan string, 1)
	micro.Handle(s, undefined, func(context.Context, micro.None) (micro.None, error) { return micro.None{}, nil })
	micro.HandleFunc(s, nothing, func(_ context.Context, req *micro.Request, _ micro.Reply) error {
		data <- string(req.Data)
		return nil
	})
	micro.Handle(s, null, func(context.Context, micro.None) (*int, error) { return nil, nil }) //nolint:nilnil // tests null
	c := e.start(s)
	e.same("undefined", []string{complete}, e.ask(c, undefined, "1"))
	e.same("nothing", []string{complete}, e.ask(c, nothing, "1"))
	e.same("data", "1", <-data)
	e.same("null", next("null"), e.ask(c, null, "1"))
	_, err := micro.Call[int](e.Context(), c, undefined, 1)
	e.is("undefined instead of a number", err, micro.ErrNoValue)
	_, err = micro.Call[micro.None](e.Context(), c, undefined, 1)
	e.is("undefined instead of nothing", err, nil)
	_, err = micro.Call[micro.None](e.Context(), c, null, 1)
	e.is("null instead of nothing", err, nil)
	// A NestJS client cannot send undefined. Ours sends {} for no data.
	e.is("no data", c.Do(e.Context(), &micro.Request{Pattern: nothing}, micro.ReplyFunc(func(micro.Value) error { return nil })), nil)
	e.same("no data", "{}", <-data)
}

// texts checks that text is transferred byte by byte.
func texts(e *env) {
	s, _ := e.server()
	micro.HandleFunc(s, echo, passThrough)
	micro.Handle(s, micro.Cmd("greet"), func(_ context.Context, name string) (string, error) { return "Hello " + name, nil })
	c := e.start(s)
	for _, text := range []string{
		`"é"`, `"😀"`, `"a😀é\u0000\u001f\"\\/"`, `"\ud83d"`, `"x\ude00y"`, `"\ud83d\ude00"`, `"\u00e9"`,
		"\"\u2028\u2029\u007f\"", `"<a href='x'>&amp;</a>"`, "\"\ufeff\"", "\"\ufffd\"", "\"e\u0301\"", `{"é😀":"😀é"}`, `{"\ud83d":1}`,
		`"line\nbreak\r\n\ttab"`, `"\r\nPUB x 1\r\n"`, `"+OK\r\n$1\r\n"`, `"10#{}"`,
	} {
		e.same(text, next(text), e.ask(c, echo, text))
	}
	for _, name := range []string{"é 😀", "a\x00b", "\u2028", "<>&", "\ufeff", `"\`} {
		got, err := micro.Call[string](e.Context(), c, micro.Cmd("greet"), name)
		e.is(name, err, nil)
		e.same(name, "Hello "+name, got)
	}
}

// numbersAndDepth checks that data that is passed through is not decoded.
func numbersAndDepth(e *env) {
	s, _ := e.server()
	micro.HandleFunc(s, echo, passThrough)
	c := e.start(s)
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	objects := strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000)
	for what, text := range map[string]string{
		"more digits than a double":    `12345678901234567890`,
		"beyond the range of a double": `1` + strings.Repeat("0", 400),
		"a fraction with many digits":  `0.` + strings.Repeat("3", 100),
		"5000 arrays":                  deep,
		"2000 objects":                 objects,
		"10000 numbers":                `[` + strings.Repeat("1,", 9999) + `1]`,
		"a long string":                `"` + strings.Repeat("é", 30000) + `"`,
	} {
		got := e.ask(c, echo, text)
		if want := next(text); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			e.Errorf("%s: %.200s", what, got)
		}
	}
}

// notJSON checks that neither side sends invalid JSON.
func notJSON(e *env) {
	s, _ := e.server()
	micro.HandleFunc(s, echo, passThrough)
	micro.HandleFunc(s, micro.Cmd("broken"), sends(`{"a":`))
	micro.Handle(s, micro.Cmd("channel"), func(context.Context, micro.None) (chan int, error) { return make(chan int), nil })
	c := e.start(s)
	_, err := micro.Call[json.RawMessage](e.Context(), c, echo, json.RawMessage(`{"a":`))
	var remote *micro.Error
	if err == nil || errors.As(err, &remote) || errors.Is(err, micro.ErrTimeout) {
		e.Errorf("invalid JSON as data: %v", err)
	}
	if err := c.Emit(e.Context(), note, make(chan int)); err == nil {
		e.Error("an event with a channel as data was sent")
	}
	internal := []string{`{"error":` + micro.InternalServerError + `}`}
	e.same("an answer with invalid JSON", internal, e.ask(c, micro.Cmd("broken"), "1"))
	e.same("an answer that cannot be encoded", internal, e.ask(c, micro.Cmd("channel"), "1"))
	e.same("afterwards", next("1"), e.ask(c, echo, "1"))
}
