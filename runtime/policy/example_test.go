package policy_test

import (
	"context"
	"fmt"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// flaky is a transport whose first messages are lost.
type flaky struct{ failures int }

func (f *flaky) Exchange(_ context.Context, _ *micro.Request, reply micro.Reply) error {
	if f.failures--; f.failures >= 0 {
		return micro.ErrConnectionLost
	}
	return reply.Send(micro.Value{Raw: []byte(`"hello"`), Last: true})
}

func (f *flaky) Publish(context.Context, *micro.Request) error { return nil }
func (f *flaky) Close() error                                  { return nil }

func ExampleNew() {
	p := policy.New(
		policy.WithTimeout(300*time.Millisecond),
		policy.WithRetries(2),
		policy.WithBackoff(policy.Exponential(time.Millisecond, time.Second)),
	)
	c := micro.NewClient(&flaky{failures: 2}, p)
	answer, err := micro.Call[string](context.Background(), c, micro.Cmd("greet"), nil)
	fmt.Println(answer, err)
	// Output: hello <nil>
}

func ExampleRecommended() {
	s := policy.Recommended(policy.WithRetries(1)).Settings()
	fmt.Println(s.Timeout, s.Retries, s.Deadline)
	// Output: 1s 1 3s
}

func ExamplePreset() {
	for _, name := range policy.PresetNames()[:3] {
		p, _ := policy.Preset(name)
		fmt.Printf("%-6s %s per attempt, %d retries\n", name, p.Settings().Timeout, p.Settings().Retries)
	}
	// Output:
	// none   5s per attempt, 0 retries
	// nest   5s per attempt, 2 retries
	// naive  1s per attempt, 3 retries
}

func ExampleWithHooks() {
	p := policy.New(policy.WithRetries(1), policy.WithHooks(policy.Hooks{
		Ended: func(_ context.Context, a policy.Attempt) {
			fmt.Printf("attempt %d: %v, then %s\n", a.Number, a.Err, a.Next)
		},
	}))
	c := micro.NewClient(&flaky{failures: 5}, p)
	_, err := micro.Call[string](context.Background(), c, micro.Cmd("greet"), nil)
	fmt.Println(err)
	// Output:
	// attempt 1: connection closed, then retry
	// attempt 2: connection closed, then attempts used up
	// call {"cmd":"greet"}: connection closed (after 2 attempts)
}

func ExampleWithBreaker() {
	p := policy.New(policy.WithBreaker(policy.Breaker{Ratio: 0.5, Minimum: 3}))
	c := micro.NewClient(&flaky{failures: 1000}, p)
	for range 4 {
		_, err := micro.Call[string](context.Background(), c, micro.Name("greet"), nil)
		fmt.Println(err)
	}
	// Output:
	// call greet: connection closed
	// call greet: connection closed
	// call greet: connection closed
	// call greet: not sent: the breaker is open
}

// sluggish is a transport whose first message takes until it is given up.
type sluggish struct{ flaky }

func (s *sluggish) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	if req.Attempt == 1 {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return reply.Send(micro.Value{Raw: []byte(`"hello"`), Last: true})
}

func ExampleWithHedge() {
	p := policy.New(
		policy.WithHedge(policy.Hedge{Delay: 5 * time.Millisecond}),
		policy.WithBudget(0.1, 1), // at most one hedge per ten requests, plus one per second
		policy.WithHooks(policy.Hooks{
			Ended: func(_ context.Context, a policy.Attempt) {
				fmt.Printf("attempt %d, a hedge: %t, then %s\n", a.Number, a.Hedge, a.Next)
			},
		}),
	)
	c := micro.NewClient(&sluggish{}, p)
	answer, err := micro.Call[string](context.Background(), c, micro.Name("greet"), nil)
	fmt.Println(answer, err)
	// Output:
	// attempt 1, a hedge: false, then outrun by another attempt
	// attempt 2, a hedge: true, then done
	// hello <nil>
}

func ExampleWithRetryOn() {
	p := policy.New(policy.WithRetries(1), policy.WithRetryOn("unreachable", "5xx"))
	fmt.Println(p.Settings().RetryOn)
	// Output: unreachable,5xx
}

func ExampleFromSettings() {
	stored := policy.Recommended(policy.WithRetryOn("unreachable")).Settings()
	p, err := policy.FromSettings(stored, policy.WithRetries(1))
	fmt.Println(p.Settings().Retries, p.Settings().RetryOn, p.Settings().Deadline, err)
	// Output: 1 unreachable 3s <nil>
}

func ExampleAs() {
	p := policy.New(policy.WithRetries(1), policy.WithHooks(policy.Hooks{
		Ended: func(_ context.Context, a policy.Attempt) { fmt.Println("attempt", a.Number, "ended") },
	}))
	p = p.With(policy.As(policy.None())) // its hooks stay
	_, err := micro.Call[string](context.Background(), micro.NewClient(&flaky{failures: 1}, p), micro.Name("greet"), nil)
	fmt.Println(p.Settings().Timeout, err)
	// Output:
	// attempt 1 ended
	// 5s call greet: connection closed
}
