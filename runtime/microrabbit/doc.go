// Package microrabbit implements NestJS's RabbitMQ transport: the messages, queues,
// and conventions of Transport.RMQ, for servers ([Listen]) and clients ([Dial]) of
// package micro.
//
//	err := server.Serve(ctx, microrabbit.Listen("amqp://localhost:5672", "mail"))
//
//	client := micro.NewClient(microrabbit.Dial("amqp://localhost:5672", "mail"))
//
// docs/wire.md, section 4, describes the protocol. docs/transports.md lists the
// NestJS options and their counterparts here, and the differences from NestJS.
//
// # The server
//
// By default a message is acknowledged when it has been received ([AckOnReceipt]), as
// with NestJS's noAck: it is delivered at most once. Acknowledgments are sent in
// batches, just before the messages are handled. At most WithPrefetch messages are
// therefore in memory, and those that have not been started when a server stops return
// to the queue.
//
// With [AckAfterHandling] a message is acknowledged when its handler has returned nil
// or, for a request, when it has been answered, even with an error: it is delivered at
// least once. An event whose handler failed or panicked is redelivered after a delay,
// which it spends in the queue "<queue>.retry.<milliseconds>". The original is
// acknowledged when the broker has confirmed the copy, and the broker moves the copy
// back when the delay is over, so the event survives a crash at any point. The
// service's own queue needs no arguments for this; a NestJS service on the same queue
// can declare it as before. After its last attempt the event is given up. It is given
// up at once if its error is a micro.Error with a status from 400 to 499, except 408,
// 425, and 429, which are transient. A message that is given up goes to
// [Topology].DeadLetter or is rejected. So does a message without a handler, and one
// that is not JSON.
//
// Handlers run concurrently. A handler that has recently been quick runs on the
// goroutine that reads, which is the cheapest place. Others run on goroutines of their
// own, and if a quick handler turns out to be slow, another goroutine continues to
// read. A server at its limit (micro.WithMaxInFlight) continues to read, up to WithPrefetch
// messages, whose time passes while they wait.
//
// When a connection ends, the broker delivers again what has not been acknowledged. What is
// being handled, or has been handled, is not handled again by the same listener: the copy is
// settled like the original.
//
// # The client
//
// Requests and events are published as mandatory and confirmed by the broker. A
// message without a queue fails with micro.ErrNotServed, and one that a full queue
// rejects fails with micro.ErrShed. When an event is published without an error, a queue
// has it. That applies to exchanges as well (Topology.Wildcards, or the type fanout): one
// that does not exist, or that routes the message to no queue, is micro.ErrNotServed. The
// client declares neither queues nor exchanges (WithDeclare). A request expires in the
// queue together with its call. If it times out while the queue has no consumer, the error
// reports that.
//
// When the connection is lost, the pending calls fail at once with
// micro.ErrConnectionLost, and new ones wait for the next attempt to connect; if it fails,
// they fail with micro.ErrUnreachable (WithWait). A rejection, such as a wrong password or
// a missing permission, is micro.ErrRefused with the reason. If a limit leaves no room for the
// connection, messages wait until their deadline (LimitError).
package microrabbit
