// Package policy defines the retry policy of a client: the timeout of an attempt, the
// number of retries, the delay between them, and limits that protect the service.
//
// A [Policy] is an option of a client:
//
//	c := micro.NewClient(microtcp.Dial("items:3002"), policy.Recommended())
//
// or a custom one:
//
//	p := policy.New(
//		policy.WithTimeout(300*time.Millisecond),
//		policy.WithRetries(2),
//		policy.WithBackoff(policy.Exponential(50*time.Millisecond, time.Second)),
//		policy.WithJitter(policy.FullJitter),
//		policy.WithBudget(0.2, 10),
//	)
//
// # Terms
//
// A request is one call by the application. An attempt is one message on the wire for
// it. A request has one attempt and up to the policy's number of retries. A hedge is an
// additional attempt while another one is pending; a try is an attempt together with
// its hedges. Each attempt has its own deadline and number, which travel in the packet's
// metadata, so that a service can drop abandoned work.
//
// # What is retried
//
// By default, only transient errors are retried: see [Transient] and [WithRetryOn]. A
// request is not retried after a value of its reply has reached the caller, except with
// [WithRetryAfterValue]. An event is retried only if it was certainly not sent. A retry that cannot complete before the
// request's deadline is not made.
//
// # Why a budget
//
// Retries multiply the load of a service exactly when it is slow. Beyond some point,
// they keep it slow forever. A budget limits the retries of all requests to a ratio of
// the requests, so the maximum load of a client on a failing service is known in
// advance: see [WithBudget].
//
// # Breaker and hedges
//
// A breaker stops sending for a while once most attempts fail. Requests then fail at
// once instead of waiting, and the service can recover: see [Breaker]. It suits services
// that fail as a whole. If only one of many instances fails, it also rejects requests to
// the others. A budget is the milder measure, and no preset has a breaker.
//
// A hedge sends a slow request again and uses the first reply: see [Hedge]. It shortens
// the tail of the latencies. Combine it with a budget if the whole service may be slow.
//
// # Settings
//
// [Settings] holds a policy's parameters as values that can be stored, and [FromSettings]
// returns the policy for them. [ParseBreaker], [ParseHedge], and [ParseRetryOn] parse the
// text forms of a breaker, a hedge, and the retryable errors.
//
// # The whole request
//
// The deadline of a request, including its retries, is the caller's, or that of the
// client's micro.WithTimeout. By default, it is 5 s, or the longest time that one of the
// client's policies may take, if that is longer.
//
// Whatever bounds an attempt also bounds its context, so that interceptors behind the
// policy, such as one that waits for its turn, stop at the attempt's deadline.
package policy
