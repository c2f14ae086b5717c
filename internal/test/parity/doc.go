// Package parity compares the gateway with a real NestJS gateway. It sends the same requests to both, each of which calls its own
// instance of the same service, and compares the responses and the messages that the service receives. A row that differs names the
// reason, which docs/gateway.md explains.
package parity
