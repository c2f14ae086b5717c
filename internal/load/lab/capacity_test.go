package lab

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/policy"
)

// closedLoad returns a Step that loads a connection.
func closedLoad(conn micro.Conn) Step {
	return func(ctx context.Context, users int, length, warmup time.Duration) (*load.Result, error) {
		r, err := load.Start(ctx, load.Plan{
			Messages: []load.Message{{Conns: []micro.Conn{conn}, Pattern: micro.Cmd("work")}},
			Policy:   policy.New(policy.WithTimeout(30 * time.Second)), Users: users, Duration: length, Warmup: warmup, Grace: ms,
		})
		if err != nil {
			return nil, err
		}
		return r.Wait(), nil
	}
}

// TestCapacity finds the capacity of a service with a known capacity, within 10%.
func TestCapacity(t *testing.T) {
	for name, config := range map[string]capacity.Config{
		"100 per second, one worker":   {ServiceTime: capacity.Constant(10 * ms)},
		"1000 per second, ten workers": {Workers: 10, ServiceTime: capacity.Constant(10 * ms)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { findCapacity(t, config) })
		})
	}
}

func findCapacity(t *testing.T, config capacity.Config) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	n := microtest.New()
	ready := func(context.Context) error { return nil } // messages wait for the server
	service, err := capacity.ServeOn(ctx, n, ready, config, micro.Cmd("work"))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = service.Wait()
	})
	want := config.Capacity()
	got, users, err := Capacity(t.Context(), closedLoad(n.Dial()))
	if err != nil || math.Abs(got-want) > want/10 {
		t.Fatalf("%.1f/s with %d users, %v: want %.0f/s within 10%%", got, users, err, want)
	}
}

// results returns those of a step with some replies per second. In the warm-up and after
// the end there are many more, which do not count.
func results(perSecond float64, length, warmup time.Duration) *load.Result {
	res := &load.Result{}
	res.Warmup, res.Counted = warmup, length-warmup
	for at := time.Duration(0); at < length+time.Second; at += time.Second {
		p := load.Point{At: at}
		p.Outcomes[load.OK] = 1_000_000
		if at >= warmup && at < length {
			p.Outcomes[load.OK] = int64(perSecond)
		}
		res.Seconds = append(res.Seconds, p)
	}
	res.Totals.Outcomes[load.OK] = int64(perSecond * res.Counted.Seconds())
	return res
}

// scripted returns a Step whose goodput depends only on the users.
func scripted(goodput func(users int) float64) (step Step, asked *[]int) {
	asked = new([]int)
	return func(_ context.Context, users int, length, warmup time.Duration) (*load.Result, error) {
		*asked = append(*asked, users)
		return results(goodput(users), length, warmup), nil
	}, asked
}

// TestSearch checks that the search continues only while more users get more replies.
func TestSearch(t *testing.T) {
	cases := []struct {
		name    string
		goodput func(users int) float64
		want    float64
		users   int
		steps   int
	}{
		{"enough at once", func(int) float64 { return 200 }, 200, 2, 3},
		{"ten replies per user, up to 1000", func(n int) float64 { return min(20*float64(n), 1000) }, 1000, 128, 6},
		{"worse with more", func(n int) float64 { return 4000 / math.Abs(float64(n)-30) }, 2000, 32, 6},
		{"a little more is the same", func(n int) float64 { return 100 + min(float64(n), 8) }, 108, 2, 3},
		{"unlimited", func(n int) float64 { return 10 * float64(n) }, 81920, 8192, 7},
		{"slow: steps are made longer", func(int) float64 { return 4 }, 4, 2, 6},
		{"a busy moment does not end it", func(n int) float64 { return map[int]float64{2: 150, 8: 90, 32: 990, 128: 1000, 512: 1000}[n] }, 1000, 32, 5},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			step, asked := scripted(c.goodput)
			got, users, err := Capacity(t.Context(), step)
			if err != nil || math.Abs(got-c.want) > 1 || users != c.users || len(*asked) != c.steps {
				t.Errorf("%.1f/s with %d users after %v, %v: want %g/s with %d after %d steps", got, users, *asked, err, c.want, c.users, c.steps)
			}
		})
	}
}

func TestNoCapacity(t *testing.T) {
	step, asked := scripted(func(int) float64 { return 0 })
	if _, _, err := Capacity(t.Context(), step); !errors.Is(err, ErrNoCapacity) || len(*asked) != 2 {
		t.Errorf("%v after %v: want ErrNoCapacity after a step and a longer one", err, *asked)
	}
	why := errors.New("no such service")
	failing := func(context.Context, int, time.Duration, time.Duration) (*load.Result, error) { return nil, why }
	if _, _, err := Capacity(t.Context(), failing); !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
}

// TestCanceledSearch checks that the search ends with the context's cause, and does not
// use the interrupted step.
func TestCanceledSearch(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	steps := 0
	step := func(_ context.Context, users int, length, warmup time.Duration) (*load.Result, error) {
		if steps++; steps == 2 {
			cancel(why)
		}
		return results(100*float64(users), length, warmup), nil
	}
	if got, _, err := Capacity(ctx, step); !errors.Is(err, why) || got != 0 || steps != 2 {
		t.Errorf("%.1f/s, %v after %d steps: want %v after 2", got, err, steps, why)
	}
}
