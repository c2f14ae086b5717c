// Package interop holds the tests that let real NestJS programs and ours talk to
// each other over real brokers: every supported version of NestJS as the client of
// our server and as the server of our client, over RabbitMQ, Redis and NATS. NestJS
// as the server of its own client stands beside them and keeps the table of what is
// expected true. Where something differs, the table says where and why.
//
// TCP has tests of its own, in runtime/microtcp.
package interop
