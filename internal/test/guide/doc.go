// Package guide mixes a NestJS system, as teams build them (testdata/nest/guide), with a generated workspace: each gateway calls
// each service, over TCP and over RabbitMQ. It compares what a client gets with what it gets from NestJS alone. A row that
// differs names the reason, which docs/nestjs.md explains.
package guide
