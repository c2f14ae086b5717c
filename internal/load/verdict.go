package load

import (
	"fmt"
	"time"
)

// Trigger is a fault with a start and a duration.
type Trigger struct {
	// At is its start, since the start of the run.
	At time.Duration
	// Length is its duration. If it is 0, it lasts until the end of the run.
	Length time.Duration
	// Text describes it briefly: "stall 4s".
	Text string
	// Fire, if set, starts the fault. It is called once, at At, on a goroutine of its
	// own. Without it, the trigger only marks a fault that starts elsewhere.
	Fire func() error
}

// End returns the end of the trigger; ok is false if it has none.
func (t *Trigger) End() (end time.Duration, ok bool) { return t.At + t.Length, t.Length > 0 }

// Verdict states whether a system recovered from a trigger.
type Verdict int

// The verdicts, from the best to the worst. The zero Verdict is that of a run without
// a trigger.
const (
	Unjudged  Verdict = iota // there was no trigger
	Recovered                // on-time goodput returned to 95% and stayed there
	Pending                  // not known yet, because the run has not ended
	Undecided                // the run ended too soon after the trigger
	Degraded                 // it never returned to 95%, or did not stay there
	Collapsed                // it stayed below 50% until the end
)

// String returns RECOVERED, DEGRADED, COLLAPSED, and so on; "" for Unjudged.
func (v Verdict) String() string {
	return [...]string{"", "RECOVERED", "PENDING", "UNDECIDED", "DEGRADED", "COLLAPSED"}[v]
}

// Recovery describes how a system recovered from one trigger. It is judged by on-time
// goodput: the share of the requests due at a time that were answered within the run's
// objective. So neither a burst of replies to old requests nor a change of the rate
// looks like a recovery, and requests that waited for the end of a stall do not count as
// served during it.
type Recovery struct {
	Trigger Trigger
	Verdict Verdict
	// Took is the time from the trigger's end until goodput had returned, if it
	// stayed there for the following 3 s.
	Took time.Duration
	// Back is how long goodput has been back so far, second by second. It takes 3 s
	// to recover.
	Back time.Duration
	// Before, During, and After are the shares of the due requests that were answered on
	// time: before the trigger, while it was active, and in the last stretch before the
	// next trigger or the end. LateDuring and LateAfter are the shares of those that
	// succeeded later than that.
	Before, During, After, LateDuring, LateAfter float64
	// Amplified is the attempts per request in that last stretch.
	Amplified float64
	// Why is the reason for the verdict, in one sentence.
	Why string
}

// The definition of the verdicts: RECOVERED takes 95% of the on-time goodput before the
// trigger for 3 s, and COLLAPSED takes less than 50% until the end, at least three
// trigger durations after the trigger.
const (
	cohortStep   = 250 * time.Millisecond
	backShare    = 0.95
	lostShare    = 0.50
	stays        = 3 * time.Second
	baseline     = 10 * time.Second // before the trigger, for comparison
	lengthsAfter = 3                // trigger durations
)

// String describes the recovery briefly: RECOVERED in 1.2 s.
func (r *Recovery) String() string {
	if r.Verdict == Recovered {
		return fmt.Sprintf("%s in %.1f s", r.Verdict, r.Took.Seconds())
	}
	return r.Verdict.String()
}
