package agents

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// TestClock compares simulated clocks that are up to 120 s apart, behind paths with jitter and
// different delays in each direction: the true offset is within the stated bound.
func TestClock(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, path := range []struct{ there, back, jitter time.Duration }{
		{20 * time.Microsecond, 20 * time.Microsecond, 50 * time.Microsecond},
		{time.Millisecond, time.Millisecond, 0},
		{5 * time.Millisecond, 5 * time.Millisecond, 2 * time.Millisecond},
		{2 * time.Millisecond, 10 * time.Millisecond, time.Millisecond},
		{100 * time.Millisecond, 0, 10 * time.Millisecond},
	} {
		for range 200 {
			offset := time.Duration(random.Int64N(int64(240*time.Second))) - 120*time.Second
			var now time.Duration
			delay := func(d time.Duration) {
				now += d
				if path.jitter > 0 {
					now += time.Duration(random.Int64N(int64(path.jitter)))
				}
			}
			r, err := measure(t.Context(), func() time.Duration { return now }, func(context.Context) ([]byte, error) {
				if random.IntN(5) == 0 {
					delay(time.Second)
					return nil, errors.New("lost")
				}
				delay(path.there)
				received := now + offset
				now += 10 * time.Microsecond
				sent := now + offset
				delay(path.back)
				return json.Marshal(clockReply{received, sent})
			})
			if err != nil {
				t.Fatal(err)
			}
			if wrong := (r.offset - offset).Abs(); wrong > r.bound {
				t.Fatalf("the offset is %s off, and the bound is %s", wrong, r.bound)
			}
			if most := (path.there+path.back)/2 + path.jitter; r.bound > most {
				t.Fatalf("the bound is %s, above %s", r.bound, most)
			}
		}
	}
}

// TestShares checks that what is divided adds up, and that the lowest indexes get the
// remainder.
func TestShares(t *testing.T) {
	for of := 1; of <= 9; of++ {
		for n := range 50 {
			sum, last := 0, n
			for i := range of {
				share := load.Part{Index: i, Of: of}.Share(n)
				if share > last || share < 0 {
					t.Fatalf("%d of %d get %d of %d, after %d", i, of, share, n, last)
				}
				sum, last = sum+share, share
			}
			if sum != n {
				t.Fatalf("the shares of %d among %d add up to %d", n, of, sum)
			}
		}
	}
}
