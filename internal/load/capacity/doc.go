// Package capacity implements a service with a known capacity: a queue and workers,
// each of which takes a time drawn from a given [Distribution]. `msctl bench --demo`
// loads it, and `msctl mock` serves it.
//
// The workers occupy time instead of the CPU. The start and end of each job follow a
// schedule of their own, so a late timer delays one reply by a millisecond but never
// lowers the capacity, and a load generator on the same machine is not disturbed.
//
// Like a service that does not know its callers' deadlines, it processes requests
// whose callers have given up, unless [Config.DropExpired] is set. A retry storm then
// leaves a backlog of abandoned requests, which is what makes it last.
package capacity
