// Package gateway is the HTTP API of a workspace: it turns HTTP requests into messages,
// and replies into HTTP responses.
//
//	gw := gateway.New("shop", gateway.WithHealth("items", client), gateway.WithAuthentication(tokens))
//	gateway.Route(gw, "GET /items/{id}", client, items.FindOneItem,
//		gateway.WithPublic(), gateway.WithSummary("Get an item"))
//	gateway.Route(gw, "POST /items", client, items.CreateItem, gateway.WithScopes("items:write"))
//	gateway.Event(gw, "POST /items/{id}/views", client, items.ItemViewed)
//	err := gw.Serve(ctx, ":3001")
//
// # Access
//
// A route is closed to anonymous callers unless [WithPublic] opens it; [WithScopes] and
// [WithRoles] admit only some callers. Package auth authenticates callers by tokens and API
// keys, and package principal carries them to the services.
//
// [Webhook] and [WebhookRoute] accept the webhooks of other programs, which authenticate themselves by
// a signature: see package webhook.
//
// # Limits
//
// [WithRateLimit] limits the requests of each caller, and [WithAddressLimit] those of each address
// before credentials are checked; several gateways count together in a [Store] that they share.
// [WithConcurrency] limits the requests in progress to each service. URLs, headers, bodies,
// JSON, connections, and slow clients are always limited.
//
// # From a request to a message
//
// The data of the message is the route's input. A tag states where a member comes from, and
// nothing else can set it:
//
//	type UpdateItemMessage struct {
//		ID      string        `json:"id" path:"id"`              // PATCH /items/{id}
//		Notify  bool          `json:"notify,omitempty" query:"notify"`
//		Tenant  string        `json:"tenant" header:"X-Tenant"`
//		UserID  string        `json:"userId" claim:"sub"`        // of the caller's token
//		Changes UpdateItemDTO `json:"updateItemDto" in:"body"`   // the whole body
//	}
//
// Members without a tag come from the JSON body, or for GET, HEAD, and DELETE from the query. A
// caller without a required claim gets status 403. [WithInput] builds the message from an HTTP
// input of another type, and [WithOutput] the response from the reply. Package validate checks
// the input.
// Unknown members are rejected unless the gateway or the route uses [WithUnknown]. All
// problems are reported at once, in NestJS's words:
//
//	{"message":["property foo should not exist","name must be a string"],"error":"Bad Request","statusCode":400}
//
// The data is then sent as JSON without being decoded, unless the input type is a
// micro.Validator, which is decoded to validate itself, or the route has WithInput. Replies
// are forwarded without being decoded unless it has WithOutput; the output type is for the
// OpenAPI document.
//
// A client that repeats a request with the header Idempotency-Key does not cause a second message
// if the gateway or the route has [WithIdempotency].
//
// # From an error to a status
//
//   - the service replied with an error that has a status, statusCode, or code from 400 to
//     599: that status
//   - any other error of the service: 500, with NestJS's generic text; the cause is logged
//   - no handler for the pattern: 501 rather than 502, because proxies retry after a 502,
//     and a retry cannot help
//   - no reply in time: 503 with the message "Microservice unavailable", as in a NestJS gateway
//   - the service is unreachable or the connection was lost: the same with Retry-After
//   - a limit was reached: 503 with Retry-After
//
// Every error body has NestJS's form {message, error, statusCode}, including those of
// 404 and 405. The log line of a request has the cause, such as "no answer in time".
//
// # Built-in routes
//
//	/api              the docs: Swagger UI, served from the binary
//	/api-json         the OpenAPI 3.1 document, also at /openapi.json
//	/api-yaml         the same as YAML
//	/health           terminus's format; checks every service of WithHealth and WithHealthOf
//	/health/live      200 while the process is serving
//	/health/ready     200 until the gateway drains, then 503
//
// Each request has a correlation ID (x-correlation-id, received or generated), which its
// messages and log lines carry. traceparent is forwarded.
package gateway
