// Package micronats is NestJS' NATS transport: the subjects, inboxes and habits of
// Transport.NATS, for servers ([Listen]) and clients ([Dial]) of package micro.
//
//	err := server.Serve(ctx, micronats.Listen("nats://localhost:4222", micronats.WithQueue("items")))
//
//	client := micro.NewClient(micronats.Dial("nats://localhost:4222"))
//
// docs/wire.md, section 6, describes the protocol. The options have NestJS'
// names and defaults where it has them:
//
//	NestJS                          here
//	servers                         the servers of Listen and Dial
//	user, pass, token               in the URL of a server
//	queue                           WithQueue
//	extras.queue of a handler       HandlerQueue
//	headers                         WithHeaders
//	inboxPrefix                     WithInboxPrefix
//	name                            WithName
//	tls                             WithTLS
//	maxReconnectAttempts            WithMaxReconnects (for ever, not 10 times)
//	reconnectTimeWait               WithReconnectWait
//	gracefulShutdown, gracePeriod   always; micro.WithDrainTimeout
//	NatsContext                     DeliveryFromContext
//	NatsRecord's headers            the metadata of a message
//
// # The server
//
// Each handler is one subscription, to the route of its pattern, so that the
// wildcards * and > are the broker's own. Servers with one queue group share the
// messages; without a group each of them handles and answers every one, as with
// NestJS. A pattern that cannot be a subject, because of a space or an empty
// token, is told of and left out.
//
// A server that cannot reach the broker tries again for ever, and one that loses
// it comes back by itself, with its subscriptions. NATS keeps nothing: what is
// sent meanwhile goes to other servers or fails at its caller, at once.
//
// A stopping server drains: it unsubscribes, handles what was already on its way,
// sends the answers, and only then closes the connection.
//
// # The client
//
// NestJS subscribes to a fresh inbox for each request. This client has one
// subscription to all its inboxes and tells the answers apart by the last token
// of the subject, which no server can tell from the outside: it saves the broker
// two messages a request and an entry in its routing table.
//
// A request to a subject that nobody serves fails at once with micro.ErrNotServed:
// the broker knows. What the broker does not let the user do fails with
// micro.ErrRefused. When the connection is lost, the calls that wait fail at once
// with micro.ErrConnectionLost. What is sent while there is no connection waits
// for one, for no longer than its deadline and the dial timeout, and then fails
// with micro.ErrUnreachable; nothing is kept to be sent later, because its caller
// would have given up by then. So an event that was published without an error was
// taken by a connection; NATS delivers it at most once.
package micronats
