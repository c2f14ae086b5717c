// Package microrabbit is NestJS' RabbitMQ transport: the messages, queues and
// habits of Transport.RMQ, for servers ([Listen]) and clients ([Dial]) of package
// micro.
//
//	err := server.Serve(ctx, microrabbit.Listen("amqp://localhost:5672", "mail"))
//
//	client := micro.NewClient(microrabbit.Dial("amqp://localhost:5672", "mail"))
//
// docs/wire.md, section 4, describes the protocol, docs/transports.md what is
// better than in NestJS. The options have NestJS' names and defaults:
//
//	NestJS                                      here
//	urls, queue                                 the arguments of Listen and Dial
//	queueOptions                                WithQueueOptions
//	noAssert                                    WithoutAssert
//	noAck                                       WithNoAck, of a client WithReplyNoAck
//	prefetchCount, isGlobalPrefetchCount        WithPrefetch (256, not 0)
//	consumerTag                                 WithConsumerTag
//	maxConnectionAttempts                       WithMaxConnectionAttempts
//	persistent                                  WithPersistent
//	headers                                     WithHeaders
//	replyQueue                                  WithReplyQueue
//	exchange, exchangeType, exchangeArguments   WithExchange
//	routingKey                                  WithRoutingKey
//	wildcards                                   WithWildcards
//	socketOptions.heartbeatIntervalInSeconds    WithHeartbeat
//	socketOptions.reconnectTimeInSeconds        WithReconnectDelay (2 s, not 5)
//	RmqRecord                                   WithMessage
//	RmqContext                                  DeliveryFromContext
//
// # The server
//
// By default a message is done with when it has been received, as with NestJS'
// noAck: at most once. It is acknowledged then, in batches, just before it is
// handled; so no more than WithPrefetch says are in memory, and what has not
// been begun when a server stops goes back to the queue.
//
// With WithNoAck(false) a message is acknowledged when its handler has returned
// nil, or, if it is a request, when it has been answered, with an error too: at
// least once. An event whose handler failed or panicked comes again after a
// while, in which it lies in the queue "<queue>.retry.<milliseconds>". It is
// acknowledged when the broker has confirmed that it is there, and sent back by
// the broker when its time is up, so it survives whatever dies on the way.
// The queue of the service itself needs no arguments for that, which would differ
// from those of a NestJS service on it. After its last attempt, or at once when
// its error is a micro.Error with a status from 400 to 499 (but 408, 425 and 429,
// which pass), it is given up: it goes to WithDeadLetter, or is rejected. So does
// what nobody handles and what is not JSON.
//
// Handlers run side by side. One that was quick lately runs in the goroutine that
// reads, which is cheapest; others get a goroutine of their own, and should a
// quick one turn out slow, another goroutine goes on reading. A server that is
// full (micro.WithMaxInFlight) reads no more until it has a place.
//
// # The client
//
// Requests and events are published as mandatory and confirmed by the broker: what
// it has no queue for fails with micro.ErrNotServed, what a full queue refuses
// with micro.ErrShed, and an event without an error is the broker's. Events to
// an exchange (WithWildcards, fanout) are the exception: nobody need want them.
// A request expires in the queue with its call; one that ends without an answer
// tells when the queue has no consumer.
//
// When the connection is lost the calls that wait on it fail at once with
// micro.ErrConnectionLost, and the next ones wait for the next connection as long
// as they may. What the broker refuses for good, a password or a queue with
// other options, is micro.ErrRefused with the reason, at once.
package microrabbit
