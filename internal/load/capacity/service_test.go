package capacity

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
)

func TestCapacity(t *testing.T) {
	for _, tt := range []struct {
		config Config
		want   float64
	}{
		{Config{ServiceTime: Constant(10 * ms)}, 100},
		{Config{ServiceTime: Exponential(10 * ms), Workers: 4}, 400},
		{Config{ServiceTime: Bimodal(5*ms, 95, 100*ms)}, 1 / 0.00975},
		{Config{}, math.Inf(1)},
	} {
		if got := tt.config.Capacity(); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%+v: %v, want %v", tt.config, got, tt.want)
		}
	}
}

// ask calls the handler once and returns the reply or the error.
func ask(ctx context.Context, s *Service) (answer string, err error) {
	err = s.Handler()(ctx, &micro.Request{}, micro.ReplyFunc(func(v micro.Value) error {
		answer = string(v.Raw)
		return nil
	}))
	return answer, err
}

// TestTheory compares the mean time that requests spend in the service, including the
// queue, with queueing theory for Poisson arrivals at 60% load: the formula of
// Pollaczek and Khinchin for one worker, and that of Erlang for three.
func TestTheory(t *testing.T) {
	const load = 0.6
	for _, tt := range []struct {
		name   string
		config Config
		want   time.Duration
	}{
		{"M/D/1", Config{ServiceTime: Constant(10 * ms)}, 17500 * time.Microsecond},                // s + ρs / 2(1-ρ)
		{"M/M/1", Config{ServiceTime: Exponential(10 * ms)}, 25 * ms},                              // s / (1-ρ)
		{"M/M/3", Config{ServiceTime: Exponential(30 * ms), Workers: 3}, 38868 * time.Microsecond}, // s + C(3, 1.8) / (3/s - λ), with C = 0.3547
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(tt.config)
				got := meanSojourn(t, s, load*s.Capacity())
				if off := float64(got)/float64(tt.want) - 1; math.Abs(off) > 0.03 {
					t.Errorf("a request takes %v on average, want %v: %+.1f%%", got, tt.want, 100*off)
				}
			})
		})
	}
}

// meanSojourn sends many requests at a rate and returns their mean time.
func meanSojourn(t *testing.T, s *Service, rate float64) time.Duration {
	t.Helper()
	const n = 60_000
	random := rand.New(rand.NewPCG(5, 6))
	var all sync.WaitGroup
	var mu sync.Mutex
	var sum time.Duration
	for range n {
		<-time.After(time.Duration(random.ExpFloat64() / rate * float64(time.Second)))
		all.Go(func() {
			begin := time.Now()
			if _, err := ask(t.Context(), s); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			sum += time.Since(begin)
		})
	}
	all.Wait()
	return sum / n
}

// TestOverload checks that a service at three times its capacity processes exactly its
// capacity, and that its backlog grows by the rest.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{ServiceTime: Constant(20 * ms), Workers: 2})
		var all sync.WaitGroup
		for range 3000 {
			<-time.After(time.Second / 300)
			all.Go(func() { _, _ = ask(t.Context(), s) })
		}
		synctest.Wait()
		got := s.Stats()
		if got.Done < 998 || got.Done > 1000 || got.Busy != 2 || got.Arrived != 3000 {
			t.Errorf("after 10 s: %+v, want 1000 done", got)
		}
		s.Close()
		all.Wait()
		if _, err := ask(t.Context(), s); err == nil || err.Error() != "the service is shutting down (status 503)" {
			t.Errorf("after the end: %v", err)
		}
		s.Close()
	})
}

// TestAnswers checks the reply or error for every verdict.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{ServiceTime: Constant(10 * ms), Queue: 2, DropExpired: true, Answer: []byte(`{"id":1}`)})
		defer s.Close()
		type result struct {
			Answer string
			Err    string
			Took   time.Duration
		}
		var all sync.WaitGroup
		results := make([]result, 4)
		begin := time.Now()
		for i := range results {
			ctx := t.Context()
			if i == 1 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 5*ms)
				defer cancel()
			}
			all.Go(func() {
				answer, err := ask(ctx, s)
				results[i] = result{Answer: answer, Took: time.Since(begin)}
				if err != nil {
					results[i].Err = err.Error()
				}
			})
			synctest.Wait()
		}
		all.Wait()
		want := []result{
			{Answer: `{"id":1}`, Took: 10 * ms},
			{Err: "the caller had given up before the work started (status 504)", Took: 10 * ms},
			{Answer: `{"id":1}`, Took: 20 * ms},
			{Err: "the queue is full (status 503)"},
		}
		if diff := cmp.Diff(want, results); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestLive checks that a stall and another service time take effect at once, and that
// the latter does not change jobs in progress.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{ServiceTime: Constant(10 * ms)})
		defer s.Close()
		begin := time.Now()
		var all sync.WaitGroup
		var took [2]time.Duration
		for i := range took {
			all.Go(func() {
				_, _ = ask(t.Context(), s)
				took[i] = time.Since(begin)
			})
			synctest.Wait()
		}
		<-time.After(5 * ms)
		s.SetServiceTime(Constant(40 * ms))
		s.Stall(100 * ms)
		if got := s.Capacity(); got != 25 {
			t.Errorf("capacity %v, want 25", got)
		}
		all.Wait()
		if diff := cmp.Diff([2]time.Duration{110 * ms, 150 * ms}, took); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestSeed checks that a seed determines the service times.
func TestSeed(t *testing.T) {
	times := func(seed uint64) (all [5]time.Duration) {
		s := New(Config{ServiceTime: Exponential(10 * ms), Seed: seed})
		defer s.Close()
		for i := range all {
			all[i] = s.queue.draw()
		}
		return all
	}
	if a, b := times(7), times(7); a != b {
		t.Errorf("the same seed gives %v and %v", a, b)
	}
	if a, b := times(7), times(8); a == b {
		t.Errorf("two seeds both give %v", a)
	}
}
