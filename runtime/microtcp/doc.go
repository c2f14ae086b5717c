// Package microtcp is NestJS' TCP transport: the frames, limits and habits of
// Transport.TCP, for servers ([Listen]) and clients ([Dial]) of package micro.
//
//	err := server.Serve(ctx, microtcp.Listen(":3002"))
//
//	client := micro.NewClient(microtcp.Dial("items:3002"))
//
// docs/wire.md, section 3, describes the protocol. The options have NestJS'
// names and defaults:
//
//	NestJS                        here
//	host, port                    the address of Listen and Dial
//	tlsOptions                    WithTLS
//	retryAttempts, retryDelay     WithRetry
//	maxBufferSize                 WithMaxBufferSize
//	incompleteMessageTimeout      WithIncompleteMessageTimeout
//	maxSendBufferSize             WithMaxSendBufferSize
//
// # The server
//
// A handler that was quick lately runs in the goroutine that reads its
// connection, which is cheapest; others get a goroutine of their own. Should a
// quick one turn out slow, another goroutine takes over the reading within about
// a millisecond, so that no message waits for the handler of another.
//
// Replies are combined: whatever is ready when a read has been dealt with leaves
// in one write. A peer that does not read stops being read from; it is cut off
// when more than maxSendBufferSize bytes wait for it, or when it takes nothing
// for half a minute.
//
// A stopping server drains. It accepts no more, tells its peers to go away with
// a packet that NestJS clients ignore and [Client] understands, still handles
// requests for a quarter of a second, then refuses them, and closes each
// connection when what is in flight on it has been answered.
//
// # The client
//
// A client keeps one connection to each address, made when it is first needed.
// Several addresses, Dial("a:3002,b:3002"), share the messages: each goes where
// the fewest calls are in flight, and none fails because of an address that
// cannot be reached while another can. When a connection is lost the calls that
// wait on it fail at once with micro.ErrConnectionLost; whether to send such a
// request again is a matter of package policy. A message that has certainly not
// been handled, because its server was going away, is sent again without asking.
//
// Nothing outlives its deadline: not a call, not an event, whether the server is
// silent, does not read or cannot be reached. A reply that comes after its call
// has given up is dropped, and told to the Late function of the call's
// micro.Trace, once.
package microtcp
