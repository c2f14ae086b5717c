package load

import (
	"fmt"
	"time"
)

// Trigger is something done to the system while a run goes on: a fault with a
// start and a length.
type Trigger struct {
	// At is when it begins, since the start of the run.
	At time.Duration
	// Length is how long it lasts; 0 is until the end of the run.
	Length time.Duration
	// Text names it in few words: "stall 4s".
	Text string
	// Fire, when set, does it; it is called once, at At, by a goroutine of its
	// own. A trigger without it happens by itself.
	Fire func() error
}

// End is when the trigger ends, and false when it does not.
func (t *Trigger) End() (end time.Duration, ok bool) { return t.At + t.Length, t.Length > 0 }

// Verdict tells whether a system came back after a trigger.
type Verdict int

// The verdicts, from the best to the worst; the zero Verdict is for runs without
// a trigger.
const (
	Unjudged  Verdict = iota // there was no trigger
	Recovered                // goodput came back to 95 % and stayed
	Pending                  // the run goes on: not known yet
	Undecided                // the run ended too soon after the trigger to tell
	Degraded                 // goodput never came back to 95 %, or did not stay there
	Collapsed                // goodput stayed under 50 % until the end
)

// String is the verdict's word: RECOVERED, DEGRADED, COLLAPSED; "" for Unjudged.
func (v Verdict) String() string {
	return [...]string{"", "RECOVERED", "PENDING", "UNDECIDED", "DEGRADED", "COLLAPSED"}[v]
}

// Recovery is what came after one trigger. Goodput is counted by when requests
// were due, as a share of what was offered, so that neither a burst of old
// answers nor a rate that changes is mistaken for a recovery.
type Recovery struct {
	Trigger Trigger
	Verdict Verdict
	// Took is the time from the trigger's end until goodput had come back, when
	// it did: it stayed there for the following 3 s.
	Took time.Duration
	// Back is for how long, so far, each second since some moment after the
	// trigger was as good as before it; 3 s make a recovery.
	Back time.Duration
	// Before, During and After are the shares of the due requests that were
	// answered: before the trigger, while it lasted, and in the last stretch
	// until the next trigger or the end.
	Before, During, After float64
	// Amplified is attempts by requests in that last stretch.
	Amplified float64
	// Why is the verdict's reason in one sentence.
	Why string
}

// What the verdict is made of (BENCH: goodput of 95 % for 3 s; under 50 % until
// the end, at least three triggers' lengths after it).
const (
	cohortStep   = 250 * time.Millisecond
	backShare    = 0.95
	lostShare    = 0.50
	stays        = 3 * time.Second
	baseline     = 10 * time.Second
	lengthsAfter = 3
)

// String describes the recovery in few words.
func (r *Recovery) String() string {
	if r.Verdict == Recovered {
		return fmt.Sprintf("%s in %.1f s", r.Verdict, r.Took.Seconds())
	}
	return r.Verdict.String()
}
