// Package load is the engine of msctl bench: it sends requests at a given rate
// through the same client and under the same policy that services use, and counts
// the outcome of every request exactly.
//
// Start starts a [Plan]. A pacer gives each request its intended start. A worker
// carries out the request, attempt by attempt, under the policy, and reports the
// outcome to the recorder, which is the only shared state. [Run.Snapshot] returns
// the figures so far, and [Run.Wait] the [Result].
//
// # Terms
//
// A request is one operation that a user wants. The schedule fixes its intended
// start in advance, no matter how late the run is. An attempt is one message on the
// wire for a request. The request latency is the time of the final outcome minus
// the intended start, so a stalled service cannot hide behind requests that were
// not sent in the meantime. The attempt latency is the time of the reply minus the
// time of the write. A late answer is a reply that arrives after its attempt has
// timed out.
//
// A [Trigger] is a fault with a start and a duration. Its [Verdict], part of a
// [Recovery], states whether the system recovered. It is based on cohorts: the
// requests that were due in the same quarter of a second, and how many of them
// succeeded in the end.
//
// # Correctness
//
// The number of offered requests is always the sum of the outcomes, however a run
// ends. The run also measures the generator: figures of a second in which the
// generator fell behind are marked by [Point.Doubtful].
//
// The package does no terminal or file I/O.
package load
