// Package tap reports the messages of a program to the msctl that runs it, which shows them as
// call trees ([msctl tap]).
//
// A program that was started with [Env] in its environment opens one connection to the address in
// it, which must be on this machine, sends one [Hello], and then one [Record] for each message that
// it sends or handles, each as a line of JSON. Nothing is read from the connection. Without Env,
// nothing is reported, at no cost.
//
// Reporting never blocks a message: records are kept in a bounded buffer, and what does not fit, or
// finds no collector, is dropped and counted ([Drops]). Values of members whose names suggest a
// secret are replaced before they leave the program; see [Mask].
//
// A message carries the span that caused it in its metadata, under [Key], so that the service that
// receives it continues the trace.
//
// Users of micro and gateway need nothing of this package: clients, servers, and gateways report by
// themselves. It is for programs that read or write records.
//
// [msctl tap]: https://github.com/msctl/msctl/blob/main/docs/tap.md
package tap
