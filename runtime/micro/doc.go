// Package micro is the heart of services that talk as NestJS microservices do:
// patterns and packets, servers and their handlers, clients and their calls. A
// service written with it answers NestJS clients, and its clients call NestJS
// services, without either side noticing; docs/wire.md says how. It needs the
// standard library only. Transports live beside it: microtcp, microrabbit,
// microredis and micronats are NestJS' TCP, RMQ, REDIS and NATS. Which of them
// carries a message makes no difference to handlers and callers.
//
// # A service
//
// What a message is for is its [Pattern], and what travels are plain structs.
// Both sides share them, best in a package of their own:
//
//	var CreateItem = micro.Cmd("createItem") // NestJS' { cmd: 'createItem' }
//	var ItemViewed = micro.Name("item.viewed")
//
//	type NewItem struct {
//		Name string `json:"name"`
//	}
//
// A handler is a function from the data to the reply:
//
//	func create(ctx context.Context, in NewItem) (Item, error) { … }
//
//	s := micro.NewServer(micro.WithName("items", "1.4.0"))
//	micro.Handle(s, CreateItem, create)
//	micro.HandleStream(s, WatchItems, watch) // returns iter.Seq2[Item, error]: several replies
//	micro.HandleEvent(s, ItemViewed, viewed) // no reply; several may share a pattern
//	err := s.Serve(ctx, microtcp.Listen(":3002"))
//
// Serve returns when ctx has ended and the messages in flight have been
// answered. Cancel ctx on SIGTERM (signal.NotifyContext), and a restart loses
// nothing.
//
// # A client
//
//	c := micro.NewClient(microtcp.Dial("items:3002"), policy.Recommended())
//	defer c.Close()
//
//	item, err := micro.Call[Item](ctx, c, CreateItem, NewItem{Name: "Cup"})
//	for item, err := range micro.Stream[Item](ctx, c, WatchItems, filter) { … }
//	err = c.Emit(ctx, ItemViewed, Viewed{ID: 7})
//
// One client serves a whole program. It connects when it is first used, and
// every call has a deadline: the context's, or five seconds. Inside a handler,
// pass the handler's ctx on: the deadline shrinks hop by hop, and the
// correlation id and the trace follow by themselves.
//
// # Errors
//
// A caller sees one kind of error of the other side, [*Error]. A handler makes
// one on purpose, and everything else that goes wrong, a panic too, is logged
// here and told as "Internal server error" there, as in NestJS:
//
//	return Item{}, micro.Errorf(404, "item %d not found", id)
//
//	var e *micro.Error
//	if errors.As(err, &e) && e.Status == 404 { … }
//
// What keeps an answer from coming is told apart with errors.Is: [ErrTimeout],
// [ErrUnreachable], [ErrConnectionLost], [ErrShed], [ErrClosed]. A handler that
// returns the *Error of a call it made passes it on as it is.
//
// A value that cannot be encoded ends the answer with the internal error.
// NestJS logs it and leaves the caller to its timeout; this is the one place
// where a server here says more.
//
// # Undefined and null
//
// JavaScript knows both, and so does the wire. Data that is undefined gives the
// handler the zero value, null gives a nil pointer. A handler that returns
// [None] answers undefined, one that returns a nil pointer answers null. [Call]
// of an answer without a value fails with [ErrNoValue], unless it asks for None.
//
// # From NestJS to Go
//
//	NestJS                                        here
//	@MessagePattern({ cmd: 'x' })                 micro.Handle(s, micro.Cmd("x"), fn)
//	@MessagePattern(…) returning an Observable    micro.HandleStream(s, p, fn), fn returns iter.Seq2
//	@EventPattern('x')                            micro.HandleEvent(s, micro.Name("x"), fn)
//	@Payload() dto: Dto                           the handler's second parameter
//	@Ctx() context                                micro.RequestFromContext(ctx)
//	throw new RpcException('text')                return micro.NewError("text")
//	throw new RpcException({ status: 404, … })    return micro.Errorf(404, "…") or micro.NewError(value)
//	any other exception                           any other error: logged, sent as "Internal server error"
//	ValidationPipe                                a Validate method (Validator), validate.Pipe, or WithPipes
//	pipes                                         WithPipes
//	guards (CanActivate)                          WithGuards; false is "Forbidden resource"
//	interceptors                                  WithInterceptors: func(Handler) Handler
//	exception filters                             WithFilters
//	@UseGuards(…) on a method                     the same options, given to Handle
//	app.useGlobalGuards(…)                        the same options, given to NewServer
//	createMicroservice({ transport: TCP })        s.Serve(ctx, microtcp.Listen("host:port"))
//	… RMQ, REDIS, NATS                            microrabbit.Listen, microredis.Listen, micronats.Listen
//	@Ctx() context: RmqContext, …                 microrabbit.DeliveryFromContext(ctx), and its like
//	enableShutdownHooks()                         Serve drains when its ctx ends
//	ClientProxy                                   *micro.Client
//	client.send(pattern, data)                    micro.Call, or micro.Stream for several values
//	client.emit(pattern, data)                    c.Emit(ctx, pattern, data)
//	lastValueFrom, firstValueFrom                 micro.Call returns the last value
//	.pipe(timeout(300))                           a context with a deadline, or policy.WithTimeout
//	.pipe(retry(3))                               policy.WithRetries
//	terminus health indicators                    WithHealthCheck
//
// Around a handler they run in NestJS' order, filter(guard(interceptor(pipe(handler)))),
// those of the server outside those of the handler, except that a handler's
// filters come before the server's. Registering a second message handler for a
// pattern replaces the first; event handlers add up.
//
// # What a server says of itself
//
// Every server also answers [HealthPattern], from the same loop as all other
// messages, and [DescribePattern]: its handlers with the JSON Schema of their
// data and replies, their counts and latencies. msctl ls and the gateway ask.
//
// # The log
//
// Servers log with log/slog: failures as errors, with their cause, answers that
// are errors on purpose at info, the rest at debug; each line has the message's
// correlation_id. What peers could cause without end is throttled, and says how
// much it left out.
package micro
