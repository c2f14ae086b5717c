// Package microtcp implements NestJS's TCP transport: the frames, limits, and
// conventions of Transport.TCP, for servers ([Listen]) and clients ([Dial]) of package
// micro.
//
//	err := server.Serve(ctx, microtcp.Listen(":3002"))
//
//	client := micro.NewClient(microtcp.Dial("items:3002"))
//
// docs/wire.md, section 3, describes the protocol. docs/transports.md lists the
// NestJS options and their counterparts here.
//
// # The server
//
// A handler that has recently been quick runs on the goroutine that reads its
// connection, which is the cheapest place. Other handlers run on goroutines of their
// own. If a quick handler turns out to be slow, another goroutine continues to read
// within about a millisecond, so a slow handler never delays other messages.
//
// Replies are batched: everything that is ready when the data of one read has been
// handled leaves in one write. The server stops reading from a peer that does not
// read its replies. It closes the connection when more than maxSendBufferSize bytes
// are waiting, or when the peer has read nothing for half a minute.
//
// A stopping server drains. It accepts no more connections, and asks its peers to
// leave with a packet that NestJS clients ignore and [Client] understands. It handles
// requests for another quarter of a second and rejects them after that. It closes each
// connection when all requests in flight on it have been answered.
//
// # The client
//
// A client keeps one connection to each address, and makes it when it is first
// needed. Several addresses, as in Dial("a:3002,b:3002"), share the load: each message
// goes to the one with the fewest calls in flight, and no message fails because of an
// unreachable address while another one is reachable. When a connection is lost, the
// calls that are pending on it fail at once with micro.ErrConnectionLost. Whether to
// send such a request again is up to package policy. A message that was certainly not
// handled, because its server was going away, is sent again in any case.
//
// No call or event outlives its deadline, whether the server is silent, does not read,
// or is unreachable. A reply that arrives after its call has given up is dropped, and
// reported once to the Late function of the call's micro.Trace.
package microtcp
