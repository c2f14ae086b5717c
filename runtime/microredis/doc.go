// Package microredis implements NestJS's Redis transport: requests, events, and
// replies over publish/subscribe, for servers ([Listen]) and clients ([Dial]) of
// package micro.
//
//	err := server.Serve(ctx, microredis.Listen("redis://localhost:6379"))
//
//	client := micro.NewClient(microredis.Dial("redis://localhost:6379"))
//
// docs/wire.md, section 5, describes the protocol. docs/transports.md lists the
// NestJS options and their counterparts here.
//
// Redis stores nothing: a message that is published while its service is down is
// lost. Publish/subscribe ignores the database number.
//
// # The server
//
// A server subscribes to one channel for each pattern, the pattern's route, and
// replies on the same channel with the suffix ".reply". Every instance of a service
// receives every message, because Redis has no queue groups. A server that finds
// another instance on its channels logs a warning. RabbitMQ and NATS share the work.
//
// With wildcards the patterns are globs, such as "items.*", and a handler finds the
// channel of its message in [DeliveryFromContext]. A * at the end also matches the
// reply channels. NestJS then runs the handler a second time, with its own reply as an
// event; this server does not. If globs overlap, the handlers of each of them run, as
// in NestJS.
//
// A stopping server drains: it unsubscribes, handles what was published until then,
// and closes the connections when everything has been answered.
//
// # The client
//
// A request waits until its reply channel is subscribed, which happens once and lasts
// for as long as the channel is in use. Redis reports how many subscribers have
// received a message. A request to a channel without subscribers therefore fails at
// once with micro.ErrNotServed, and a request with several receivers is logged once
// per channel. If several instances reply, the first complete reply counts. The values
// of their streams are interleaved, because nothing in a packet identifies its sender.
//
// When the connection is lost, or Redis has been silent for as long as WithHeartbeat
// or WithPeerTimeout allows, the pending calls fail at once with micro.ErrConnectionLost,
// after the replies that have arrived. Both sides reconnect by themselves (WithReconnect) and restore their
// subscriptions. A message during an outage causes an attempt to connect, and fails with
// micro.ErrUnreachable if the attempt does (WithWait). For a few
// seconds after that, a request without a receiver is sent again, because its service
// is about to reconnect as well.
package microredis
