// Package micronats implements NestJS's NATS transport: the subjects, inboxes, and
// conventions of Transport.NATS, for servers ([Listen]) and clients ([Dial]) of
// package micro.
//
//	err := server.Serve(ctx, micronats.Listen("nats://localhost:4222", micronats.WithQueue("items")))
//
//	client := micro.NewClient(micronats.Dial("nats://localhost:4222"))
//
// docs/wire.md, section 6, describes the protocol. docs/transports.md lists the
// NestJS options and their counterparts here.
//
// # The server
//
// Each handler is one subscription, to the route of its pattern, so the wildcards *
// and > are the broker's own. Servers in one queue group share the messages. Without a
// group each server handles and answers every message, as in NestJS. A pattern that is
// not a valid subject, because of a space or an empty token, is logged and skipped.
//
// A server that cannot reach the broker keeps trying, and one that loses the
// connection reconnects and restores its subscriptions. NATS stores nothing: messages
// sent in the meantime go to other servers, or fail at once at their callers.
//
// A stopping server drains: it unsubscribes, handles what was already on its way,
// sends the replies, and then closes the connection. A stream whose caller has left is
// stopped; a running server does so when its values have had no receiver for 10 s.
//
// The time of a message counts from when it was read. What expires while it waits for a full
// server is answered with status 504, and not handled.
//
// # The client
//
// NestJS subscribes to a new inbox for each request. This client subscribes once to all
// its inboxes, with the first request, and identifies a call by the last token of the
// subject. Servers cannot tell the difference. It saves the broker two messages per
// request and an entry in its routing table. If the user may only subscribe to inboxes of
// one token (_INBOX.*), each request has its own subscription.
//
// A request to a subject without a subscriber fails at once with micro.ErrNotServed,
// because the broker knows. An operation that the user has no permission for fails
// with a [PermissionError]. When the connection is lost, the pending calls fail at once
// with micro.ErrConnectionLost. A message sent without a connection waits for one, no
// longer than its deadline and the dial timeout, and then fails with
// micro.ErrUnreachable. Nothing is buffered to be sent later, because its caller would
// have given up by then. So an event that was published without an error was accepted
// by a connection that was not known to be lost. NATS delivers it at most once.
//
// # Connections
//
// Both sides connect to the first of all servers and IP addresses that is ready, and notice
// within 15 s that a broker has vanished ([WithPeerTimeout]). When a server announces that it will
// stop (lame-duck mode), they move to another one: new messages go there, and the old connection
// ends when the replies to the others have been sent. A server without a queue group is alone in
// one, so that it gets each message once meanwhile.
package micronats
