package microtcp_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func ExampleListen() {
	s := micro.NewServer(micro.WithName("sums", "1.0.0"), micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Cmd("sum"), func(_ context.Context, in []int) (sum int, err error) {
		for _, n := range in {
			sum += n
		}
		return sum, nil
	})
	l := microtcp.Listen("127.0.0.1:0", microtcp.WithMaxConnections(100), microtcp.WithIncompleteMessageTimeout(10*time.Second))

	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()
	address, err := l.Addr(ctx)
	if err != nil {
		fmt.Println(err)
	}

	c := micro.NewClient(microtcp.Dial(address.String()))
	fmt.Println(micro.Call[int](ctx, c, micro.Cmd("sum"), []int{1, 2, 3}))
	_ = c.Close()
	stop()
	fmt.Println(<-served)
	// Output:
	// 6 <nil>
	// <nil>
}

func ExampleDial() {
	conn := microtcp.Dial("10.0.0.1:3002, 10.0.0.2:3002",
		microtcp.WithReconnect(5, 100*time.Millisecond),
		microtcp.WithDialTimeout(time.Second),
	)
	c := micro.NewClient(conn) // connects when it is first used
	fmt.Println(c.Close())
	// Output: <nil>
}
