// Package microrabbit is NestJS' RabbitMQ transport: the messages, queues and
// habits of Transport.RMQ, for servers ([Listen]) and clients ([Dial]) of package
// micro.
//
//	err := server.Serve(ctx, microrabbit.Listen("amqp://localhost:5672", "mail"))
//
//	client := micro.NewClient(microrabbit.Dial("amqp://localhost:5672", "mail"))
//
// docs/wire.md, section 4, describes the protocol.
package microrabbit
