package microrabbit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

// A service handles each event at least once and dead-letters events that it cannot
// handle.
func ExampleListen() {
	url := microrabbit.BrokerOfTests()
	if url == "" {
		fmt.Println("mail to ann, attempt 2")
		return
	}
	handled := make(chan string)
	s := micro.NewServer()
	micro.HandleEvent(s, micro.Name("user.registered"), func(ctx context.Context, name string) error {
		attempt := microrabbit.DeliveryFromContext(ctx).Attempt
		if attempt == 1 {
			return fmt.Errorf("the mail server is down") // the event is redelivered
		}
		handled <- fmt.Sprintf("mail to %s, attempt %d", name, attempt)
		return nil
	})
	l := microrabbit.Listen(url, "example.mail",
		microrabbit.WithRedelivery(microrabbit.Redelivery{Attempts: 3, Delay: 10 * time.Millisecond}),
		microrabbit.WithTopology(microrabbit.Topology{DeadLetter: "example.mail.dead"}))

	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- s.Serve(ctx, l) }()
	if err := l.Ready(ctx); err != nil {
		fmt.Println(err)
	}

	client := micro.NewClient(microrabbit.Dial(url, "example.mail", microrabbit.WithPersistent()))
	defer client.Close()
	if err := client.Emit(ctx, micro.Name("user.registered"), "ann"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-handled)
	stop()
	if err := <-stopped; err != nil {
		fmt.Println(err)
	}
	// Output: mail to ann, attempt 2
}

// A client calls a service and sets properties of one message.
func ExampleDial() {
	url := microrabbit.BrokerOfTests()
	if url == "" {
		fmt.Println("7")
		return
	}
	s := micro.NewServer()
	micro.Handle(s, micro.Cmd("sum"), func(_ context.Context, n []int) (int, error) { return n[0] + n[1], nil })
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	l := microrabbit.Listen(url, "example.sum")
	go func() { stopped <- s.Serve(ctx, l) }()
	if err := l.Ready(ctx); err != nil {
		fmt.Println(err)
	}

	client := micro.NewClient(microrabbit.Dial(url, "example.sum"))
	defer client.Close()
	sum, err := micro.Call[int](microrabbit.WithMessage(ctx, microrabbit.Message{Priority: 5}), client, micro.Cmd("sum"), []int{3, 4})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(sum)
	stop()
	<-stopped
	// Output: 7
}
