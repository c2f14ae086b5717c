package gateway

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway/internal/sse"
)

const (
	schemaRef   = "#/components/schemas/"
	responseRef = "#/components/responses/"
	headerRef   = "#/components/headers/"
)

// responses documents every status that the route can return.
func (g *Gateway) responses(r *route) map[string]*huma.Response {
	all := g.failures(r.access, len(r.input.claims) > 0, r.input.body)
	add := g.adder(all)
	statuses := []int{r.status}
	if r.output != nil && len(r.output.statuses) > 0 {
		statuses = r.output.statuses
	}
	schema := g.outSchema(r)
	for _, status := range statuses {
		all[strconv.Itoa(status)] = g.success(r, status, schema)
	}
	if r.method == http.MethodGet && r.answer != noValue && slices.Contains(statuses, http.StatusOK) {
		all["304"] = &huma.Response{Description: "The body still has the ETag of If-None-Match", Headers: g.headers("ETag")}
	}
	if p := r.rejection(); p != nil {
		add(p, "The request is not valid: message lists everything that is wrong")
	}
	if r.input.body {
		add(mediaTypeProblem(r.types), "The body is not JSON in UTF-8")
	}
	if slices.ContainsFunc(r.input.header, readsVersion) {
		all["409"] = g.ownFailure(plainProblem(http.StatusConflict, "It has changed in the meantime"), "The current version is not that of If-Match")
	}
	add(unhandledProblem(), "The service does not handle this message: the versions do not match")
	add(unavailableProblem(), "The service is not available or overloaded, it did not answer in time, or the credentials cannot be checked at the moment", "Retry-After")
	all["default"] = &huma.Response{Description: "An error of the service, with its own status", Headers: g.headers(), Content: map[string]*huma.MediaType{
		g.errors.media(): {Schema: &huma.Schema{Ref: schemaRef + errorSchema}, Examples: map[string]*huma.Example{
			"404": {Summary: "404 Not Found", Value: json.RawMessage(g.errors.body(plainProblem(http.StatusNotFound, "It does not exist")))},
			"409": {Summary: "409 Conflict", Value: json.RawMessage(g.errors.body(plainProblem(http.StatusConflict, "It has changed in the meantime")))},
		}},
	}}
	return all
}

// success documents a successful response.
func (g *Gateway) success(r *route, status int, schema *huma.Schema) *huma.Response {
	success := &huma.Response{Description: http.StatusText(status), Headers: g.headers()}
	if r.method == http.MethodGet && status == http.StatusOK && schema != nil {
		success.Headers = g.headers("ETag")
	}
	if r.version != nil {
		success.Headers[headerETag] = &huma.Header{Description: "The version, for If-Match and If-None-Match", Schema: &huma.Schema{Type: huma.TypeString}, Example: exampleTag}
	}
	if len(r.access.rates) > 0 {
		maps.Copy(success.Headers, g.headers(rateHeaders...))
	}
	if r.output != nil {
		for _, h := range r.output.headers {
			success.Headers[h.name] = &huma.Header{Description: h.doc, Schema: huma.SchemaFromType(g.api.OpenAPI().Components.Schemas, h.kind)}
		}
	}
	if r.pages != nil {
		success.Headers[headerLink] = &huma.Header{Description: "The first, previous, next, and last page, relative to this URL", Schema: &huma.Schema{Type: huma.TypeString}, Example: `<?limit=20&offset=20>; rel="next"`}
		success.Headers[headerTotal] = &huma.Header{Description: "The number of all items", Schema: &huma.Schema{Type: huma.TypeInteger}, Example: 42}
	}
	if schema == nil || status == http.StatusNoContent {
		return success
	}
	example := g.example(schema)
	success.Content = map[string]*huma.MediaType{mediaJSON: {Schema: schema, Example: example}}
	if r.answer == manyValues {
		list := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeArray, Items: schema}}
		if example != nil {
			list.Example = []any{example}
		}
		success.Description += ": all values at once, or one per line or event, as they arrive"
		value := &huma.MediaType{Schema: schema, Example: example}
		success.Content = map[string]*huma.MediaType{mediaJSON: list, typeNDJSON: value, sse.Type: value}
	}
	return success
}

// failures documents the errors that routes and operations have in common.
func (g *Gateway) failures(a access, hasClaims, hasBody bool) map[string]*huma.Response {
	all := map[string]*huma.Response{}
	add := g.adder(all)
	if !a.public {
		add(unauthorizedProblem(), "The request has no valid credentials", "WWW-Authenticate")
	}
	if a.limited() || hasClaims {
		add(forbiddenProblem(), "The caller does not have the required scopes, roles, or claims")
	}
	if hasBody {
		add(tooLargeProblem(), "The body is too large")
		add(lateBodyProblem(), "The body did not arrive in time")
	}
	if len(a.rates) > 0 || g.limits.address != nil {
		add(limitedProblem(), "The caller has sent too many requests", append(slices.Clone(rateHeaders), "Retry-After")...)
	}
	add(internalProblem(nil), "Something failed that is not the caller's concern. The log has the reason, by the correlation ID")
	return all
}

// adder returns a function that adds the response of a problem.
func (g *Gateway) adder(all map[string]*huma.Response) func(p *problem, description string, headers ...string) {
	return func(p *problem, description string, headers ...string) {
		all[strconv.Itoa(p.status)] = g.failure(p, description, headers...)
	}
}

// failure documents the response of a problem. It is a component of the document, unless its
// status has one with another body.
func (g *Gateway) failure(p *problem, description string, headers ...string) *huma.Response {
	response := g.ownFailure(p, description, headers...)
	if p.status == http.StatusBadRequest { // the messages are those of one route
		return response
	}
	components := g.api.OpenAPI().Components
	if components.Responses == nil {
		components.Responses = map[string]*huma.Response{}
	}
	name := strings.ReplaceAll(http.StatusText(p.status), " ", "")
	switch known := components.Responses[name]; {
	case known == nil:
		components.Responses[name] = response
	case !reflect.DeepEqual(known.Content[g.errors.media()].Example, response.Content[g.errors.media()].Example):
		return response
	}
	return &huma.Response{Ref: responseRef + name}
}

// ownFailure documents the response of a problem that has another meaning than those of other
// routes.
func (g *Gateway) ownFailure(p *problem, description string, headers ...string) *huma.Response {
	return &huma.Response{Description: description, Headers: g.headers(headers...), Content: g.errors.content(p)}
}

// headers documents headers of a response, and the one that every response has.
func (g *Gateway) headers(names ...string) map[string]*huma.Header {
	all := map[string]*huma.Header{}
	components := g.api.OpenAPI().Components
	if components.Headers == nil {
		components.Headers = map[string]*huma.Header{}
	}
	for _, name := range append(names, headerCorrelation) {
		components.Headers[name] = documentedHeader(name)
		all[name] = &huma.Header{Ref: headerRef + name}
	}
	return all
}

func documentedHeader(name string) *huma.Header {
	text := func(description, example string) *huma.Header {
		return &huma.Header{Description: description, Schema: &huma.Schema{Type: huma.TypeString}, Example: example}
	}
	number := func(description string, example int) *huma.Header {
		return &huma.Header{Description: description, Schema: &huma.Schema{Type: huma.TypeInteger}, Example: example}
	}
	switch name {
	case rateHeaders[0]:
		return number("The number of requests that the caller may send at once", 100)
	case rateHeaders[1]:
		return number("The number of requests that the caller may send now", 99)
	case rateHeaders[2]:
		return number("Seconds until the caller may send as many requests at once as at first", 1)
	case headerCorrelation:
		return text("The request in the logs of the gateway and the services: the ID that it was sent with, or a new one", "f47ac10b-58cc-4372-a567-0e02b2c3d479")
	case "ETag":
		return text("The version of the body, for If-None-Match", `W/"2a-Y9gpmxCvHq0hQQn4p8bHzxCkZ2E"`)
	case "WWW-Authenticate":
		return text("The kinds of credentials that the gateway accepts in the header Authorization", "Bearer")
	}
	return number("Seconds to wait before the next attempt", 1)
}
