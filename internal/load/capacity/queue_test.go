package capacity

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script is a queue on a given clock, and its verdict for each job.
type script struct {
	queue
	jobs []*job
}

func (s *script) arriveAt(now time.Duration, ctx context.Context) {
	j := &job{ctx: ctx, result: make(chan verdict, 1)}
	s.jobs = append(s.jobs, j)
	s.arrive(now, j)
}

// verdicts returns one letter per job: done, refused, expired, closed, or - for none yet.
func (s *script) verdicts() string {
	text := ""
	for _, j := range s.jobs {
		select {
		case v := <-j.result:
			j.result <- v
			text += string("drec"[v])
		default:
			text += "-"
		}
	}
	return text
}

func always(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// TestLateTimers checks that late timers do not lower the capacity: 1000 jobs of 10 ms
// with two workers are done after 5 s, not after 5 s plus 500 delays.
func TestLateTimers(t *testing.T) {
	s := script{queue: queue{workers: 2, draw: always(10 * ms)}}
	for range 1000 {
		s.arriveAt(0, t.Context())
	}
	late := rand.New(rand.NewPCG(1, 2))
	for {
		at, ok := s.next()
		if !ok {
			break
		}
		now := at + time.Duration(late.Int64N(int64(7*ms)))
		s.advance(now)
		if got, want := s.tally.Done, uint64(now/(10*ms)*2); got != min(want, 1000) {
			t.Fatalf("%d are done after %v, want %d", got, now, want)
		}
		if at > 5*time.Second {
			t.Fatalf("work is due at %v", at)
		}
	}
	if s.tally.Done != 1000 {
		t.Errorf("%d are done", s.tally.Done)
	}
}

// TestQueue checks the verdict of each job and its time.
func TestQueue(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	here := t.Context()
	type step struct {
		at    int             // ms
		ctx   context.Context // of the caller that arrives; nil for none
		stall int             // ms
		want  string
	}
	for _, tt := range []struct {
		name  string
		queue queue
		steps []step
		stats Stats
	}{
		{"first in, first out", queue{workers: 1}, []step{
			{0, here, 0, "-"}, {1, here, 0, "--"}, {9, here, 0, "---"}, {10, nil, 0, "d--"}, {19, nil, 0, "d--"}, {20, nil, 0, "dd-"}, {30, nil, 0, "ddd"},
		}, Stats{Arrived: 3, Done: 3}},
		{"an idle worker starts when work arrives", queue{workers: 1}, []step{
			{0, here, 0, "-"}, {25, here, 0, "d-"}, {34, nil, 0, "d-"}, {35, nil, 0, "dd"},
		}, Stats{Arrived: 2, Done: 2}},
		{"two workers", queue{workers: 2}, []step{
			{0, here, 0, "-"}, {5, here, 0, "--"}, {6, here, 0, "---"}, {10, nil, 0, "d--"}, {15, nil, 0, "dd-"}, {20, nil, 0, "ddd"},
		}, Stats{Arrived: 3, Done: 3}},
		{"a full queue", queue{workers: 1, room: 1}, []step{
			{0, here, 0, "-"}, {1, here, 0, "--"}, {2, here, 0, "--r"}, {10, here, 0, "d-r-"}, {11, here, 0, "d-r-r"},
		}, Stats{Arrived: 5, Busy: 1, Waiting: 1, Done: 1, Refused: 2}},
		{"abandoned work is done", queue{workers: 1}, []step{
			{0, here, 0, "-"}, {1, gone, 0, "--"}, {20, nil, 0, "dd"},
		}, Stats{Arrived: 2, Done: 2, Wasted: 1}},
		{"abandoned work is dropped", queue{workers: 1, dropExpired: true}, []step{
			{0, here, 0, "-"}, {1, gone, 0, "--"}, {2, here, 0, "---"}, {10, nil, 0, "de-"}, {20, nil, 0, "ded"},
		}, Stats{Arrived: 3, Done: 2, Expired: 1}},
		{"a stall stops the work", queue{workers: 1}, []step{
			{0, here, 0, "-"}, {4, nil, 20, "-"}, {10, here, 0, "--"}, {29, nil, 0, "--"}, {30, nil, 0, "d-"}, {40, nil, 0, "dd"},
		}, Stats{Arrived: 2, Done: 2}},
		{"a stall of an idle service", queue{workers: 1}, []step{
			{0, nil, 20, ""}, {10, here, 0, "-"}, {29, nil, 0, "-"}, {30, nil, 0, "d"},
		}, Stats{Arrived: 1, Done: 1}},
		{"stalls that overlap", queue{workers: 1}, []step{
			{0, here, 0, "-"}, {5, nil, 20, "-"}, {10, nil, 5, "-"}, {15, nil, 20, "-"}, {39, nil, 0, "-"}, {40, nil, 0, "d"},
		}, Stats{Arrived: 1, Done: 1}},
		{"no request is refused during a stall", queue{workers: 1, room: 1}, []step{
			{0, nil, 20, ""}, {1, here, 0, "-"}, {2, here, 0, "--"}, {3, here, 0, "---"}, {19, nil, 0, "---"}, {20, nil, 0, "--r"}, {30, nil, 0, "d-r"},
		}, Stats{Arrived: 3, Busy: 1, Done: 1, Refused: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := script{queue: tt.queue}
			s.draw = always(10 * ms)
			for _, step := range tt.steps {
				now := time.Duration(step.at) * ms
				switch {
				case step.ctx != nil:
					s.arriveAt(now, step.ctx)
				case step.stall > 0:
					s.stall(now, time.Duration(step.stall)*ms)
				default:
					s.advance(now)
				}
				if got := s.verdicts(); got != step.want {
					t.Fatalf("after %v: %s, want %s", now, got, step.want)
				}
			}
			if diff := cmp.Diff(tt.stats, s.stats()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			s.close()
			for _, j := range s.jobs {
				if len(j.result) != 1 {
					t.Error("a request has no verdict after close")
				}
			}
		})
	}
}

// TestBounded checks the limit of MaxWaiting.
func TestBounded(t *testing.T) {
	s := script{queue: queue{workers: 1, draw: always(10 * ms)}}
	for range MaxWaiting + 10 {
		s.arriveAt(0, t.Context())
	}
	if diff := cmp.Diff(Stats{Arrived: MaxWaiting + 10, Waiting: MaxWaiting, Busy: 1, Refused: 9}, s.stats()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFifo checks the order of a queue that grows and shrinks, and that it keeps no
// references to jobs that have left.
func TestFifo(t *testing.T) {
	var f fifo
	var want []*job
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		switch n := r.IntN(5); {
		case n < 2 || len(want) == 0:
			j := &job{}
			want = append(want, j)
			f.push(j)
		case n < 4:
			if got := f.pop(); got != want[0] {
				t.Fatal("pop does not return the first job")
			}
			want = want[1:]
		default:
			if got := f.popLast(); got != want[len(want)-1] {
				t.Fatal("popLast does not return the last job")
			}
			want = want[:len(want)-1]
		}
		if f.len() != len(want) {
			t.Fatalf("%d wait, want %d", f.len(), len(want))
		}
	}
	for f.len() > 0 {
		f.pop()
	}
	for _, j := range f.jobs[:cap(f.jobs)] {
		if j != nil {
			t.Fatal("the queue still references a job that has left")
		}
	}
}
