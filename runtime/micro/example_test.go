package micro_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

type newItem struct {
	Name string `json:"name"`
}

// Validate makes newItem a micro.Validator.
func (i newItem) Validate() error {
	if i.Name == "" {
		return errors.New("name must not be empty")
	}
	return nil
}

type item struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

var createItem = micro.Cmd("createItem")

// serving runs s and returns a client of it, and a function that stops both.
func serving(s *micro.Server, opts ...micro.ClientOption) (*micro.Client, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	listener := microtcp.Listen("127.0.0.1:0")
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	address, err := listener.Addr(ctx)
	if err != nil {
		panic(err)
	}
	c := micro.NewClient(microtcp.Dial(address.String()), opts...)
	return c, func() {
		_ = c.Close()
		cancel()
		<-served
	}
}

func quiet() micro.Option { return micro.WithLogger(slog.New(slog.DiscardHandler)) }

func Example() {
	s := micro.NewServer(quiet(), micro.WithName("items", "1.0.0"))
	micro.Handle(s, createItem, func(_ context.Context, in newItem) (item, error) {
		return item{ID: 1, Name: in.Name}, nil
	})
	c, stop := serving(s)
	defer stop()

	made, err := micro.Call[item](context.Background(), c, createItem, newItem{Name: "Cup"})
	fmt.Println(made, err)
	_, err = micro.Call[item](context.Background(), c, createItem, newItem{})
	fmt.Println(err)
	// Output:
	// {1 Cup} <nil>
	// call {"cmd":"createItem"}: name must not be empty (status 400)
}

func ExampleNewServer() {
	s := micro.NewServer(
		micro.WithName("items", "1.0.0"),
		micro.WithLogger(slog.New(slog.DiscardHandler)),
		micro.WithMaxInFlight(1000),
		micro.WithDrainTimeout(5*time.Second),
		micro.WithHealthCheck("database", func(context.Context) error { return errors.New("no connection") }),
	)
	c, stop := serving(s)
	defer stop()
	health, err := micro.Call[micro.Health](context.Background(), c, micro.HealthPattern, nil)
	fmt.Println(health.Name, health.Status, health.Checks, err)
	// Output: items error map[database:no connection] <nil>
}

func ExampleNewClient() {
	c := micro.NewClient(microtcp.Dial("127.0.0.1:1"), micro.WithTimeout(time.Second))
	defer func() { _ = c.Close() }()
	_, err := micro.Call[item](context.Background(), c, createItem, newItem{Name: "Cup"})
	fmt.Println(errors.Is(err, micro.ErrUnreachable))
	// Output: true
}

func ExampleHandleStream() {
	s := micro.NewServer(quiet())
	micro.HandleStream(s, micro.Cmd("count"), func(_ context.Context, to int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range to {
				if !yield(i, nil) {
					return
				}
			}
			yield(0, micro.Errorf(409, "enough"))
		}
	})
	c, stop := serving(s)
	defer stop()
	for n, err := range micro.Stream[int](context.Background(), c, micro.Cmd("count"), 3) {
		fmt.Println(n, err)
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 2 <nil>
	// 0 stream {"cmd":"count"}: enough (status 409)
}

func ExampleHandleEvent() {
	seen := make(chan string)
	s := micro.NewServer(quiet())
	micro.HandleEvent(s, micro.Name("item.viewed"), func(_ context.Context, in item) error {
		seen <- in.Name
		return nil
	})
	c, stop := serving(s)
	defer stop()
	err := c.Emit(context.Background(), micro.Name("item.viewed"), item{Name: "Cup"})
	fmt.Println(<-seen, err)
	// Output: Cup <nil>
}

func ExampleHandleUnknown() {
	s := micro.NewServer(quiet())
	micro.HandleUnknown(s, func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Any: "no idea what " + req.Pattern.String() + " is", Last: true})
	})
	c, stop := serving(s)
	defer stop()
	answer, err := micro.Call[string](context.Background(), c, micro.Name("item.price"), nil)
	fmt.Println(answer, err)
	// Output: no idea what item.price is <nil>
}

func ExampleHandleFunc() {
	s := micro.NewServer(quiet())
	micro.HandleFunc(s, micro.Cmd("raw"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		if err := reply.Send(micro.Value{Raw: req.Data}); err != nil {
			return err
		}
		return reply.Send(micro.Value{Any: "the last", Last: true})
	})
	c, stop := serving(s)
	defer stop()
	for v, err := range micro.Stream[json.RawMessage](context.Background(), c, micro.Cmd("raw"), []int{1}) {
		fmt.Printf("%s %v\n", v, err)
	}
	// Output:
	// [1] <nil>
	// "the last" <nil>
}

func ExampleWithGuards() {
	key := func(_ context.Context, req *micro.Request) (bool, error) {
		return req.Metadata.Get("key") == "secret", nil
	}
	s := micro.NewServer(quiet(), micro.WithGuards(key))
	micro.Handle(s, createItem, func(_ context.Context, in newItem) (item, error) { return item{1, in.Name}, nil })
	c, stop := serving(s)
	defer stop()
	_, err := micro.Call[item](context.Background(), c, createItem, newItem{Name: "Cup"})
	fmt.Println(err)
	// Output: call {"cmd":"createItem"}: Forbidden resource
}

func ExampleWithInterceptors() {
	sign := func(next micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			req.Metadata.Set("user", "7")
			return next(ctx, req, reply)
		}
	}
	s := micro.NewServer(quiet())
	micro.Handle(s, micro.Cmd("whoami"), func(ctx context.Context, _ micro.None) (string, error) {
		return micro.RequestFromContext(ctx).Metadata.Get("user"), nil
	})
	c, stop := serving(s, micro.WithInterceptors(sign))
	defer stop()
	fmt.Println(micro.Call[string](context.Background(), c, micro.Cmd("whoami"), nil))
	// Output: 7 <nil>
}

func ExampleWithObserver() {
	observe := func(ctx context.Context, req *micro.Request, handler micro.Pattern) (context.Context, func(error)) {
		return ctx, func(err error) { fmt.Println(handler, err) }
	}
	s := micro.NewServer(quiet(), micro.WithObserver(observe))
	micro.Handle(s, createItem, func(_ context.Context, in newItem) (item, error) { return item{}, micro.Errorf(409, "exists") })
	c, stop := serving(s)
	_, _ = micro.Call[item](context.Background(), c, createItem, newItem{Name: "Cup"})
	stop() // waits for the messages
	// Output: {"cmd":"createItem"} exists (status 409)
}

func ExampleErrorf() {
	err := micro.Errorf(404, "item %d not found: %w", 7, io.EOF)
	fmt.Printf("%s\n%v, %v\n", err.Payload, err, errors.Is(err, io.EOF))
	fmt.Printf("%s\n", micro.NewError("as new RpcException('text')").Payload)
	// Output:
	// {"status":404,"message":"item 7 not found: EOF"}
	// item 7 not found: EOF (status 404), true
	// {"status":"error","message":"as new RpcException('text')"}
}

func ExampleNewError() {
	err := micro.NewError(map[string]any{"code": 409, "message": "taken"})
	fmt.Printf("%s %d %s\n", err.Payload, err.Status, err.Message)
	// Output: {"code":409,"message":"taken"} 409 taken
}

func ExampleRemoteError() {
	err := micro.RemoteError([]byte(`{"statusCode":400,"message":["name must be a string","price is required"]}`))
	fmt.Println(err, err.Remote())
	// Output: name must be a string; price is required (status 400) true
}

func ExampleNewCorrelationID() {
	req := &micro.Request{Pattern: createItem}
	req.Metadata.Set(micro.MetaCorrelationID, micro.NewCorrelationID())
	fmt.Println(req.CorrelationID() != "")
	// Output: true
}

func ExampleJSON() {
	text, err := micro.JSON().Append(nil, map[string]string{"html": "<b>&</b>"})
	fmt.Println(string(text), err)
	// Output: {"html":"<b>&</b>"} <nil>
}
