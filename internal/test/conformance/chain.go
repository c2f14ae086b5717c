package conformance

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/msctl/msctl/runtime/micro"
)

// steps records the order of events.
type steps struct {
	mu   sync.Mutex
	list []string
}

func (s *steps) add(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, step)
}

func (s *steps) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.list, " ")
	s.list = nil
	return all
}

func (s *steps) interceptor(name string) micro.Interceptor {
	return func(next micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			s.add(name + "(")
			err := next(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
				s.add(name + ":value")
				return reply.Send(v)
			}))
			s.add(")" + name)
			return err
		}
	}
}

func (s *steps) guard(name string) micro.Guard {
	return func(context.Context, *micro.Request) (bool, error) {
		s.add(name)
		return true, nil
	}
}

func (s *steps) pipe(name string) micro.Pipe {
	return func(_ context.Context, _ *micro.Request, dto any) error {
		s.add(name)
		text, ok := dto.(*string)
		if !ok {
			return errors.New("no text")
		}
		*text += "+" + name
		return nil
	}
}

func (s *steps) filter(name string) micro.Filter {
	return func(_ context.Context, _ *micro.Request, err error) error {
		s.add(name)
		return micro.NewError(name + ": " + err.Error())
	}
}

// chain checks that guards, interceptors, pipes, and filters run in NestJS's order: the server's before the handler's own,
// and filters in the opposite order.
func chain(e *env) {
	var order steps
	s, _ := e.server(
		micro.WithGuards(order.guard("guard1")), micro.WithInterceptors(order.interceptor("i1")),
		micro.WithPipes(order.pipe("pipe1")), micro.WithFilters(order.filter("filter1")))
	micro.Handle(s, echo, func(_ context.Context, text string) (string, error) {
		order.add("handler")
		if strings.HasPrefix(text, "bad") {
			return "", errors.New("bad")
		}
		return text, nil
	}, micro.WithGuards(order.guard("guard2")), micro.WithInterceptors(order.interceptor("i2")),
		micro.WithPipes(order.pipe("pipe2")), micro.WithFilters(order.filter("filter2")))
	c := e.start(s, micro.WithInterceptors(order.interceptor("c1"), order.interceptor("c2")))
	e.same("answer", next(`"good+pipe1+pipe2"`), e.ask(c, echo, `"good"`))
	e.same("order", "c1( c2( guard1 guard2 i1( i2( pipe1 pipe2 handler i2:value i1:value )i2 )i1 c2:value c1:value )c2 )c1", order.take())
	e.same("failure", []string{`{"error":{"status":"error","message":"filter1: filter2: bad"}}`}, e.ask(c, echo, `"bad"`))
	e.same("order", "c1( c2( guard1 guard2 i1( i2( pipe1 pipe2 handler )i2 )i1 filter2 filter1 )c2 )c1", order.take())
}

// guards checks that the handler does not run if a guard refuses the message, and that the caller gets the guard's error.
func guards(e *env) {
	s, _ := e.server()
	var order steps
	refuse := func(_ context.Context, req *micro.Request) (bool, error) {
		switch req.Metadata.Get("token") {
		case "good":
			return true, nil
		case "":
			return false, nil
		}
		return false, micro.Errorf(401, "unknown token")
	}
	micro.HandleFunc(s, echo, func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		order.add("ran")
		return passThrough(ctx, req, reply)
	}, micro.WithGuards(refuse))
	c := e.start(s)
	for token, want := range map[string][]string{
		"good": next("1"),
		"":     {`{"error":` + micro.ForbiddenResource + `}`},
		"bad":  {`{"error":{"status":401,"message":"unknown token"}}`},
	} {
		req := &micro.Request{Pattern: echo, Data: []byte("1")}
		if token != "" {
			req.Metadata.Set("token", token)
		}
		e.same("token "+token, want, Observe(e.Context(), c, req, 0))
	}
	e.same("runs", "ran", order.take())
}
