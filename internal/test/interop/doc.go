// Package interop tests NestJS programs and ours against each other over real brokers:
// NestJS as the client of our server and as the server of our client, over RabbitMQ,
// Redis, and NATS. NestJS as the client of its own server verifies the table of
// expectations. Where NestJS and msctl differ, the table lists the exception and its
// reason.
//
// The tests for TCP are in runtime/microtcp.
package interop
