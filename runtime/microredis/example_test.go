package microredis_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microredis"
)

func ExampleListen() {
	s := micro.NewServer(micro.WithName("sums", "1.0.0"), micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Name("sum.*"), func(ctx context.Context, in []int) (string, error) {
		sum := 0
		for _, n := range in {
			sum += n
		}
		return fmt.Sprint(microredis.DeliveryFromContext(ctx).Channel, " is ", sum), nil
	})
	// Serve waits until Redis can be reached. In production, read the URL, which contains
	// the password, from an environment variable.
	l := microredis.Listen("redis://127.0.0.1:1", microredis.WithWildcards(), microredis.WithReconnect(1, 10*time.Millisecond))
	fmt.Println(s.Serve(context.Background(), l) != nil)
	// Output: true
}

func ExampleDial() {
	conn := microredis.Dial("rediss://shop:a%20password@redis.example:6380",
		microredis.WithDialTimeout(time.Second),
		microredis.WithHeartbeat(2*time.Second),
	)
	c := micro.NewClient(conn) // connects on first use
	fmt.Println(c.Close())
	// Output: <nil>
}
