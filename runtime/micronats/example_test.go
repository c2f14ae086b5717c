package micronats_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
)

func ExampleListen() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	s := micro.NewServer()
	micro.Handle(s, micro.Cmd("sum"), func(_ context.Context, numbers []int) (sum int, _ error) {
		for _, n := range numbers {
			sum += n
		}
		return sum, nil
	})
	stop() // a real service would wait for the signal
	err := s.Serve(ctx, micronats.Listen("nats://localhost:4222", micronats.WithQueue("math")))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleDial() {
	// Nothing is connected until the first call.
	client := micro.NewClient(micronats.Dial("nats://a:4222,nats://b:4222"))
	fmt.Println(client.Close())
	// Output: <nil>
}

func ExampleHandlerQueue() {
	s := micro.NewServer()
	// Of all servers one writes to the log, whatever groups they are in otherwise.
	micro.HandleEvent(s, micro.Name("orders.>"), func(ctx context.Context, _ struct{}) error {
		fmt.Println(micronats.DeliveryFromContext(ctx).Subject)
		return nil
	}, micronats.HandlerQueue("log"))
	for route := range s.Routes() {
		if route.Event() {
			fmt.Println(route.Address())
		}
	}
	// Output: orders.>
}
