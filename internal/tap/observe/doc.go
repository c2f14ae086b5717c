// Package observe collects the messages between services that report nothing: those that pass through a
// broker, or through a proxy in front of a service. It joins each request with its replies, and passes
// records to a [tap.Hub], so that whatever shows the messages of a run shows them, too.
//
// What is between a sender and a receiver sees neither of them. A record of this package is therefore
// always one of the receiver's side, named after the place that the message was sent to, and has the
// parent and the trace that the message carries, if any.
package observe
