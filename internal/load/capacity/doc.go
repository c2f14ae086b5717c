// Package capacity is a service whose capacity is known beforehand: a queue and
// k workers, each of which takes a time drawn from a given [Distribution]. It is
// what `msctl bench --demo` loads and what `msctl mock` serves.
//
// The workers occupy time, not the processor: when each piece of work begins and
// ends is computed on a schedule of its own, so that a late timer delays one
// answer by a millisecond and never lowers the capacity, and a load generator on
// the same machine is not disturbed.
//
// As in a service that knows nothing of its callers' patience, work whose caller
// has given up is done nonetheless unless [Config.DropExpired] says otherwise. A
// retry storm then leaves a backlog of dead work, which is what makes it last.
package capacity
