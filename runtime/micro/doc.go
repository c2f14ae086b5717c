// Package micro is the core of services and clients that speak the protocol of
// NestJS microservices: patterns and typed contracts, servers and handlers, clients
// and calls, and errors. NestJS clients can call a service written with it, and its
// clients can call NestJS services; docs/wire.md specifies the protocol. The package
// requires only the standard library. Each transport is a package of its own:
// microtcp, microrabbit, microredis, and micronats are NestJS's TCP, RMQ, REDIS, and
// NATS. Handlers and callers do not depend on the transport.
//
// # Contracts
//
// A [Method] is a request with typed input and output, and a [Topic] is an event with
// typed data. Both have a [Pattern], which identifies the handler. Declare them, with
// their structs, in a package that the service and its clients import:
//
//	var (
//		CreateItem = micro.NewMethod[NewItem, Item](micro.Cmd("createItem")) // NestJS: { cmd: 'createItem' }
//		WatchItems = micro.NewMethod[Filter, Item](micro.Cmd("watchItems"))
//		ItemViewed = micro.NewTopic[ItemID](micro.Name("item.viewed"))
//	)
//
// A handler, a call, or a gateway route with other types does not compile. For patterns
// that are known only at run time, use [Handle], [HandleStream], [HandleEvent], [Call],
// [Stream], and [Client.Emit].
//
// # A service
//
//	s := micro.NewServer(micro.WithName("items", "1.4.0"))
//	CreateItem.Handle(s, create)       // func(context.Context, NewItem) (Item, error)
//	WatchItems.HandleStream(s, watch)  // func(context.Context, Filter) iter.Seq2[Item, error]
//	ItemViewed.Handle(s, viewed)       // func(context.Context, ItemID) error
//	err := s.Serve(ctx, microtcp.Listen(":3002"))
//
// Serve returns when ctx has ended and the messages in flight have been answered. Cancel
// ctx on SIGTERM (signal.NotifyContext), and a restart loses no message. All handlers
// must be registered before Serve.
//
// # A client
//
//	c := micro.NewClient(microtcp.Dial("items:3002"), policy.Recommended())
//	defer c.Close()
//
//	item, err := CreateItem.Call(ctx, c, NewItem{Name: "Cup"})
//	for item, err := range WatchItems.Stream(ctx, c, Filter{}) { … }
//	err = ItemViewed.Emit(ctx, c, ItemID{7})
//
// One client per service is enough for an entire program. It connects on first use.
// Every call has a deadline: that of the context, or five seconds. In a handler, pass the
// handler's context to further calls, so that they share its deadline, correlation ID, and
// trace.
//
// # Errors
//
// [*Error] is the only error that peers exchange. A handler returns one on purpose;
// every other error, and a panic, is logged with its cause and sent as NestJS's
// "Internal server error":
//
//	return Item{}, micro.Errorf(404, "item %d not found", id)
//
//	var e *micro.Error
//	if errors.As(err, &e) && e.Status == 404 { … }
//
// The errors [ErrTimeout], [ErrUnreachable], [ErrConnectionLost], [ErrShed], and
// [ErrClosed] explain why there was no reply; use errors.Is. A handler that returns the
// *Error of its own call passes it on unchanged.
//
// A value that cannot be encoded ends the reply with the internal error. NestJS logs it
// and sends nothing, so that its caller times out. This is the only deliberate difference.
//
// # Undefined and null
//
// JavaScript distinguishes them, and so does the protocol. A handler receives the zero
// value for undefined data and a nil pointer for null. A handler that returns [None]
// replies with undefined, and one that returns a nil pointer replies with null. A call
// whose reply has no value fails with [ErrNoValue], unless its output type is None.
//
// # From NestJS to Go
//
//	NestJS                                        Go
//	@MessagePattern({ cmd: 'x' })                 X = micro.NewMethod[In, Out](micro.Cmd("x")); X.Handle(s, fn)
//	@MessagePattern(…) returning an Observable    X.HandleStream(s, fn); fn returns iter.Seq2[Out, error]
//	@EventPattern('x')                            X = micro.NewTopic[In](micro.Name("x")); X.Handle(s, fn)
//	@Payload() dto: Dto                           the handler's second parameter
//	@Ctx() context                                micro.RequestFromContext(ctx)
//	@Ctx() context: RmqContext, …                 microrabbit.DeliveryFromContext(ctx), …
//	throw new RpcException('text')                return micro.NewError("text")
//	throw new RpcException({ status: 404, … })    return micro.Errorf(404, "…") or micro.NewError(value)
//	any other exception                           any other error: logged, sent as "Internal server error"
//	ValidationPipe                                a Validate method (Validator), validate.Pipe with WithPipes
//	pipes                                         WithPipes
//	guards (CanActivate)                          WithGuards; false is "Forbidden resource"
//	interceptors                                  WithInterceptors: func(Handler) Handler
//	exception filters                             WithFilters; for unexpected errors WithInternalError
//	@UseGuards(…) on a method                     the same options, passed to Handle
//	app.useGlobalGuards(…)                        the same options, passed to NewServer
//	createMicroservice({ transport: TCP })        s.Serve(ctx, microtcp.Listen("host:port"))
//	… RMQ, REDIS, NATS                            microrabbit.Listen, microredis.Listen, micronats.Listen
//	enableShutdownHooks()                         Serve drains when its context ends
//	ClientProxy                                   *micro.Client
//	client.send(pattern, data)                    X.Call(ctx, c, in), or X.Stream for several values
//	client.emit(pattern, data)                    X.Emit(ctx, c, in)
//	lastValueFrom, firstValueFrom                 X.Call returns the last value
//	.pipe(timeout(300))                           a context with a deadline, or policy.WithTimeout
//	.pipe(retry(3))                               policy.WithRetries
//	Terminus health indicators                    WithHealthCheck
//
// The order around a handler is NestJS's: filter(guard(interceptor(pipe(handler)))). The
// server's options wrap those of the handler, except that a handler's filters run before
// the server's. A second message handler for a pattern replaces the first and logs a
// warning; all event handlers of a pattern run.
//
// # Health and description
//
// Every server also answers [HealthPattern] and [DescribePattern], in the same loop as
// all other messages. The description lists its handlers with the JSON Schema of their
// data and replies, their counts, and their latencies. msctl ls and the gateway use them.
//
// # Logging
//
// Servers log with log/slog: unexpected errors at level error, with their cause; errors
// that a handler returned on purpose at level info; everything else at level debug. Each
// line has the message's correlation_id. Lines that a peer can trigger in any number are
// limited to ten per second; the next line contains the number of suppressed lines.
//
// # For transports
//
// A transport implements [Conn] for clients and [Listener] for servers. A Listener hands
// each message to [Server.Deliver] as a [Delivery], and runs the [Inbound] that it
// returns. [Responder], [Route], [AppendMetadata], [SentMetadata], [RemoteError],
// [WithExtra], [Clock], [InheritedListener], and [Server.LogPeer] are for transports,
// too. Package wire reads and writes the packets. Services and clients do not need them.
package micro
