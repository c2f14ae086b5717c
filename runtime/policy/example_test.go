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
	fmt.Println(policy.Recommended(policy.WithRetries(1)))
	// Output: timeout 1s, 1 retry 50ms to 1s apart with full jitter, budget 20%+10/s, deadline 3s
}

func ExamplePreset() {
	for _, name := range policy.PresetNames()[:3] {
		p, _ := policy.Preset(name)
		fmt.Printf("%-6s %s\n", name, p)
	}
	// Output:
	// none   timeout 5s, no retries
	// nest   timeout 5s, 2 retries 1s apart on any error
	// naive  timeout 1s, 3 retries at once
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
