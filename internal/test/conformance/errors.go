package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/msctl/msctl/runtime/micro"
)

// failures checks that the caller receives exactly the part of each error that is meant for it.
func failures(e *env) {
	s, book := e.server()
	internal := micro.InternalServerError
	var untyped *micro.Error
	cases := []struct {
		name    string
		fail    func() error
		payload string
	}{
		{"text", func() error { return micro.NewError("no luck é 😀") }, `{"status":"error","message":"no luck é 😀"}`},
		{"status", func() error { return micro.Errorf(404, "item %d not found", 7) }, `{"status":404,"message":"item 7 not found"}`},
		{"object", func() error { return micro.NewError(json.RawMessage(`{"code":409,"extra":{"a":[1]}}`)) }, `{"code":409,"extra":{"a":[1]}}`},
		{"emptyObject", func() error { return micro.NewError(struct{}{}) }, `{}`},
		{"array", func() error { return micro.NewError([]int{1, 2}) }, `[1,2]`},
		{"string", func() error { return micro.NewError("text") }, `{"status":"error","message":"text"}`},
		{"number", func() error { return micro.NewError(42) }, `{"status":"error","message":42}`},
		{"boolean", func() error { return micro.NewError(false) }, `{"status":"error","message":false}`},
		{"null", func() error { return micro.NewError(nil) }, `{"status":"error","message":null}`},
		{"wrapped", func() error { return fmt.Errorf("while at it: %w", micro.Errorf(410, "gone")) }, `{"status":410,"message":"gone"}`},
		{"withACause", func() error { return micro.Errorf(500, "read: %w", io.ErrUnexpectedEOF) }, `{"status":500,"message":"read: unexpected EOF"}`},
		{"plain", func() error { return errors.New("the password is 1234") }, internal},
		{"deadline", func() error { return context.DeadlineExceeded }, internal},
		{"nilPointer", func() error { return untyped }, internal},
		{"panic", func() error { panic("at the disco") }, internal},
		{"panicWithAnError", func() error { panic(micro.Errorf(404, "not for the caller")) }, internal},
		{"nilDereference", func() error { return fmt.Errorf("%s", untyped.Message) }, internal},
	}
	for _, c := range cases {
		micro.Handle(s, micro.Cmd(c.name), func(context.Context, micro.None) (micro.None, error) { return micro.None{}, c.fail() })
	}
	micro.HandleFunc(s, echo, passThrough)
	c := e.start(s)
	for _, test := range cases {
		e.same(test.name, []string{`{"error":` + test.payload + `}`}, e.ask(c, micro.Cmd(test.name), "1"))
	}
	e.same("afterwards", next("1"), e.ask(c, echo, "1"))
	for _, part := range []string{"the password is 1234", "at the disco", "errors.go"} { // the cause and the stack
		e.eventually("the log contains "+part, func() bool { return containsText(book.String(), part) })
	}
}

// errorChains checks that errors.As and errors.Is work on the error of a call.
func errorChains(e *env) {
	s, _ := e.server()
	micro.Handle(s, micro.Cmd("find"), func(context.Context, micro.None) (int, error) {
		return 0, micro.NewError(map[string]any{"statusCode": 404, "message": []string{"a", "b"}})
	})
	micro.Handle(s, micro.Cmd("strict"), func(_ context.Context, n int) (int, error) { return n, nil })
	c := e.start(s)
	_, err := micro.Call[int](e.Context(), c, micro.Cmd("find"), 1)
	var remote *micro.Error
	if !errors.As(err, &remote) || remote.Status != 404 || remote.Message != "a; b" || !remote.Remote() {
		e.Errorf("find: %v, %+v", err, remote)
	}
	if _, err = micro.Call[int](e.Context(), c, micro.Cmd("strict"), "no number"); !errors.As(err, &remote) || remote.Status != 400 || !remote.Remote() {
		e.Errorf("strict: %v", err)
	}
	if _, err = micro.Call[string](e.Context(), c, micro.Cmd("strict"), 1); err == nil || errors.As(err, new(*micro.Error)) {
		e.Errorf("a number where a string is wanted: %v", err)
	}
	for _, other := range []error{micro.ErrTimeout, micro.ErrUnreachable, micro.ErrConnectionLost, micro.ErrClosed, micro.ErrNoHandler} {
		if errors.Is(err, other) {
			e.Errorf("%v is %v", err, other)
		}
	}
}
