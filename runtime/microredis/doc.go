// Package microredis is NestJS' Redis transport: requests, events and replies
// over publish and subscribe, for servers ([Listen]) and clients ([Dial]) of
// package micro.
//
//	err := server.Serve(ctx, microredis.Listen("redis://localhost:6379"))
//
//	client := micro.NewClient(microredis.Dial("redis://localhost:6379"))
//
// docs/wire.md, section 5, describes the protocol. What NestJS calls options are
// here:
//
//	NestJS                        here
//	host, port, username,
//	password, db, tls             the URL: redis://user:password@host:port/db, rediss:// for TLS
//	tls                           WithTLS
//	retryAttempts, retryDelay     WithRetry; without it for ever, where NestJS gives up at once
//	wildcards                     WithWildcards
//	RedisContext                  DeliveryFromContext
//
// Redis keeps nothing: a message that is published while its service is away is
// gone, and publish and subscribe do not care for the database number.
//
// # The server
//
// A server subscribes to one channel for each pattern, the route, and answers on
// the same channel with ".reply" after it. Every instance of a service gets every
// message: Redis has no queue groups. A server that finds another one on its
// channels says so in its log; RabbitMQ and NATS share the work.
//
// With wildcards the patterns are globs, such as "items.*", and a handler finds
// the channel that a message came by in [DeliveryFromContext]. A * at the end also
// matches the channels of replies. NestJS then runs the handler a second time,
// with its own reply as an event; this server does not. Globs that overlap run
// the handlers of each, as in NestJS.
//
// A stopping server drains: it gives its subscriptions up, handles what was
// published to it until then, and closes the connections when all of that has been
// answered.
//
// # The client
//
// A request waits until its reply channel is subscribed to, which it is once and
// for as long as there is use for it. Redis tells how many have received a
// message, so a request to a channel that nobody has subscribed to fails at once
// with micro.ErrUnreachable, and a request that several have received is logged
// once for each channel. When several answer, the first complete answer counts;
// the values of their streams come mixed, since nothing tells them apart.
//
// When the connection is lost the calls that wait fail at once with
// micro.ErrConnectionLost, and so they do when Redis gives no sign of life for as
// long as WithHeartbeat says. Both sides connect again by themselves, for ever
// unless WithRetry says otherwise, and go on as before. For the first seconds after
// that a request that nobody has received is sent again: its service is about to
// come back too.
package microredis
