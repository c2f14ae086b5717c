package deadline_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/internal/deadline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errCause = errors.New("time is up")

type key struct{}

// TestContext compares the context with the one of context.WithDeadlineCause, whatever is
// asked of it first.
func TestContext(t *testing.T) {
	for name, c := range map[string]struct {
		parent, own int  // milliseconds; 0 is no deadline
		cancel      bool // after 5 ms
	}{
		"own":                {own: 10},
		"no deadline":        {},
		"past":               {own: -1},
		"parent first":       {parent: 4, own: 10},
		"parent last":        {parent: 30, own: 10},
		"parent only":        {parent: 10},
		"canceled":           {own: 10, cancel: true},
		"canceled, no bound": {cancel: true},
	} {
		for first := range 4 {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ms := time.Millisecond
					parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "v"))
					defer cancel(nil)
					if c.parent != 0 {
						var stop context.CancelFunc
						parent, stop = context.WithTimeout(parent, time.Duration(c.parent)*ms)
						defer stop()
					}
					want, at := parent, time.Time{}
					if c.own != 0 {
						at = time.Now().Add(time.Duration(c.own) * ms)
						var stop context.CancelFunc
						want, stop = context.WithDeadlineCause(parent, at, errCause)
						defer stop()
					}
					var got deadline.Context
					got.Start(parent, at, &errCause)
					if c.cancel {
						time.AfterFunc(5*ms, func() { cancel(errors.New("left")) })
					}
					compare := func(when string) {
						asks := []func(){
							func() {
								if g, w := got.Err(), want.Err(); !errors.Is(g, w) || (g == nil) != (w == nil) {
									t.Errorf("%s: Err is %v, want %v", when, g, w)
								}
							},
							func() {
								if g, w := context.Cause(&got), context.Cause(want); (g == nil) != (w == nil) || g != nil && g.Error() != w.Error() {
									t.Errorf("%s: Cause is %v, want %v", when, g, w)
								}
							},
							func() {
								if g, w := closed(got.Done()), closed(want.Done()); g != w {
									t.Errorf("%s: Done is %t, want %t", when, g, w)
								}
							},
							func() {
								g, gok := got.Deadline()
								if w, wok := want.Deadline(); !g.Equal(w) || gok != wok || got.Value(key{}) != "v" {
									t.Errorf("%s: Deadline is %v %t, want %v %t", when, g, gok, w, wok)
								}
							},
						}
						for i := range asks {
							asks[(first+i)%len(asks)]()
						}
					}
					compare("at first")
					for i := range 40 {
						<-time.After(ms)
						synctest.Wait()
						compare(fmt.Sprintf("after %d ms", i+1))
					}
					if c.own != 0 {
						got.End()
						if got.Err() == nil || !closed(got.Done()) {
							t.Error("the context continues after its end")
						}
					}
				})
			})
		}
	}
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// TestEnd checks that End ends the context and what is derived from it, also when nothing
// has waited for it before.
func TestEnd(t *testing.T) {
	for _, derived := range []bool{false, true} {
		var c deadline.Context
		c.Start(context.Background(), time.Now().Add(time.Hour), &errCause)
		child := context.Context(&c)
		if derived {
			var cancel context.CancelFunc
			child, cancel = context.WithCancel(&c)
			defer cancel()
		}
		c.End()
		<-child.Done()
		if !errors.Is(child.Err(), context.Canceled) {
			t.Errorf("derived: %t: %v, want canceled", derived, child.Err())
		}
	}
}

// TestUntil checks that a transport that observes a time by itself does not wait for a
// context with the same or a later one.
func TestUntil(t *testing.T) {
	parent := context.WithValue(t.Context(), key{}, "v")
	now := time.Now()
	var c deadline.Context
	c.Start(parent, now, &errCause)
	wrapped := context.WithValue(&c, key{}, "w")
	for name, tt := range map[string]struct {
		ctx  context.Context
		at   time.Time
		want context.Context
	}{
		"the same":        {&c, now, parent},
		"an earlier one":  {&c, now.Add(-1), parent},
		"a later one":     {&c, now.Add(1), &c},
		"none":            {&c, time.Time{}, &c},
		"wrapped":         {wrapped, now, wrapped},
		"another context": {parent, now, parent},
	} {
		if got := deadline.Until(tt.ctx, tt.at); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
