// Package policy says how patient a client is: how long one attempt may take,
// how often a message is sent again, how long to wait in between, and how much
// of all this the service can bear.
//
// A [Policy] is an option of a client:
//
//	c := micro.NewClient(microtcp.Dial("items:3002"), policy.Recommended())
//
// or made to measure:
//
//	p := policy.New(
//		policy.WithTimeout(300*time.Millisecond),
//		policy.WithRetries(2),
//		policy.WithBackoff(policy.Exponential(50*time.Millisecond, time.Second)),
//		policy.WithJitter(policy.FullJitter),
//		policy.WithBudget(0.2, 10),
//	)
//
// # Words
//
// A request is what the caller wanted; an attempt is one message on the wire
// for it. A request has one attempt and at most as many retries as the policy
// allows; a hedge is an attempt beside one that is not answered yet, and a try
// is an attempt with its hedges. Each attempt has its own deadline and is numbered; the number and the
// time left travel in the packet's metadata, so that a service can drop work
// nobody waits for.
//
// # What is retried
//
// Only what may have gone wrong by chance: see [Transient]; [WithRetryOn] says
// otherwise. A request is never
// retried after a value of its answer has reached the caller, and an event is
// retried only when it was certainly not sent. A retry that could not end
// before the request's deadline is not made.
//
// # Why a budget
//
// Retries multiply the load of a service at the very moment it is slow; past
// some point they keep it slow for ever. A budget bounds the retries of all
// requests together to a share of the requests made, so the worst a client does
// to a failing service is known beforehand: see [WithBudget].
//
// # Breaker and hedges
//
// A breaker stops sending for a while once most attempts fail, so that requests
// fail at once instead of waiting, and a service that is down is left alone: see
// [Breaker]. It is for services that fail as a whole; where one of many instances
// is bad, it makes the others' answers fail too. A budget is the milder means,
// and no preset has a breaker.
//
// A hedge sends a slow request a second time and takes the first answer: see
// [Hedge]. It is for long tails, and never without a budget where the service
// may be slow as a whole.
//
// # What is stored
//
// [Settings] are all of it as values, and [FromSettings] makes a policy of them
// again. Breaker, Hedge and the retryable errors have a form of text, which
// [ParseBreaker], [ParseHedge] and [ParseRetryOn] read.
//
// # The whole request
//
// The request's deadline is the caller's, or what micro.WithTimeout gives the
// client, retries included. Where nothing was said it is 5 s, or what the policy
// may take when that is longer; a micro.WithTimeout after the policy wins.
package policy
