// Package fault is a proxy between clients and a service that injects faults
// and understands messages: what to delay, answer with an error, swallow,
// deliver twice or out of order is decided for each message, by its pattern if
// need be, and every other byte is passed on as it came.
//
//	f, err := fault.Parse("latency=200ms±50ms@10s+5s")
//	p, err := fault.Start(ctx, fault.Options{Target: []string{"localhost:3002"}, Seed: 1, Faults: []fault.Fault{f}})
//	client := micro.NewClient(microtcp.Dial(p.Addr()))
//	p.Begin(time.Now()) // time 0 of the windows
//
// # What is decided when
//
// Everything is decided on the message's way to the service, also what becomes
// of its answer. The n-th message that a fault matches, counted from 0 over all
// connections, is hit or spared by a hash of the seed, the fault and n alone: the
// same seed gives the same sequence, whatever else is going on. A window only
// says whether a hit is carried out. What several faults do to one message adds
// up, until one of them ends it.
//
// # Order
//
// Messages keep their order on each connection in each direction, unless a fault
// says otherwise: a message that [Latency] delays is overtaken by those behind it
// that are not delayed, or less. [Stall] and [Bandwidth] keep the order.
//
// # Limits
//
// A frame is passed on when it is whole. What is no frame is passed on as it is,
// and so is everything behind it in its direction, because a service ends such a
// connection anyway. The end of a stream is passed on, a reset too; a client that
// comes while no target can be reached is reset. What is held back on a
// connection is bounded: past it the proxy stops reading, as a service would.
package fault
