// Package load is the engine of msctl bench: it makes requests at a given pace
// through the same client and the same policy that services use, and counts
// exactly what became of each.
//
// The straight line: a [Plan] is started; a pacer gives each request its
// intended start; a worker makes the request, attempt by attempt, under the
// policy; the outcome goes to the recorder, the only state that is shared;
// [Run.Snapshot] shows it while it grows and [Run.Wait] returns the [Result].
//
// # Words
//
// A request is what a user wanted; its intended start is fixed by the schedule
// before the run could be late. An attempt is one message on the wire for it.
// Request latency is the final outcome minus the intended start, so a service
// that stalls cannot hide behind requests that were not sent meanwhile. Attempt
// latency is the answer minus the write. A late answer is one that came after
// its attempt had been given up.
//
// A [Trigger] is something done to the system at a moment and for a while; the
// [Verdict] of each, in a [Recovery], tells whether the system came back from it.
// It is made from cohorts: the requests that were due in the same quarter of a
// second, and how many of them were answered in the end.
//
// # Truth
//
// Offered is the sum of the outcomes, to the last request, however a run ends.
// The run also watches the generator itself: what it says of a second in which
// requests left late is to be doubted, see [Point.Doubtful].
//
// The package knows no screen and no files.
package load
