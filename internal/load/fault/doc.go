// Package fault implements a proxy between clients and a service that injects
// faults into single messages. It decides for each message, by its pattern if
// needed, whether to delay it, reply to it with an error, lose it, deliver it
// twice, or reorder it. All other bytes are passed on unchanged.
//
//	f, err := fault.Parse("latency=200ms±50ms@10s+5s")
//	p, err := fault.Start(ctx, fault.Options{Target: []string{"localhost:3002"}, Seed: 1, Faults: []fault.Fault{f}})
//	client := micro.NewClient(microtcp.Dial(p.Addr()))
//	p.Begin(time.Now()) // time 0 of the windows
//
// # Decisions
//
// Everything is decided when a message travels to the service, including what
// happens to its reply. Whether the n-th message that a fault matches, counted from
// 0 over all connections, is affected depends only on a hash of the seed, the
// fault, and n. The same seed always gives the same sequence. A window only
// determines whether a decision is applied. The effects of several faults on one
// message add up, until one of them ends it.
//
// # Order
//
// Messages keep their order on each connection in each direction, unless a fault
// changes it: a message that [Latency] delays can be overtaken by later messages
// with a shorter delay. [Stall] and [Bandwidth] keep the order.
//
// # Limits
//
// A frame is passed on once it is complete. Bytes that are not a frame are passed
// on unchanged, and so is everything after them in the same direction, because a
// service closes such a connection anyway. The end of a stream is passed on, and so
// is a reset. A client that connects while no target can be reached is reset. The
// amount of data held back on a connection is bounded: beyond the limit, the proxy
// stops reading, as a service would.
package fault
