package gateway

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// OperationOption configures an HTTP operation that sends no message: see [Operation].
type OperationOption interface{ applyOperation(*operation) }

// operation is the configuration of an HTTP operation that sends no message.
type operation struct{ access access }

// Operation adds an HTTP operation that sends no message, such as a sign-in, as huma.Register
// does. Its errors have NestJS's form, and like a route it is closed unless
// [WithPublic] opens it: principal.FromContext returns the caller. Operation panics if its
// types or its path are not valid.
func Operation[In, Out any](g *Gateway, op huma.Operation, handler func(context.Context, *In) (*Out, error), opts ...OperationOption) {
	o := operation{access{public: g.public, rates: g.limits.rates}}
	for _, opt := range opts {
		opt.applyOperation(&o)
	}
	op.Metadata = withAccess(op.Metadata, o.access)
	op.Security = g.security(o.access)
	g.documentErrors(&op, o.access, reflect.TypeFor[In]())
	huma.Register(g.api, op, handler)
}

// documentErrors replaces huma's responses to errors, which have another form.
func (g *Gateway) documentErrors(op *huma.Operation, a access, in reflect.Type) {
	has := func(name string) bool { _, ok := in.FieldByName(name); return ok }
	all := g.failures(a, false, has("Body") || has("RawBody"))
	for _, status := range op.Errors {
		all[strconv.Itoa(status)] = g.failure(newProblem(status, http.StatusText(status)), http.StatusText(status))
	}
	if in.NumField() > 0 {
		invalid := badRequest([]string{"body: expected object"})
		invalid.status = http.StatusUnprocessableEntity
		all["422"] = g.failure(invalid, "The request is not valid: message lists everything that is wrong")
	}
	all["default"] = &huma.Response{Description: "Any other error", Headers: g.headers(), Content: map[string]*huma.MediaType{
		g.errors.media(): {Schema: &huma.Schema{Ref: schemaRef + errorSchema}},
	}}
	maps.Copy(all, op.Responses)
	op.Errors, op.Responses = nil, all
}

// withAccess returns a copy of an operation's metadata with its access.
func withAccess(metadata map[string]any, a access) map[string]any {
	all := map[string]any{}
	maps.Copy(all, metadata)
	all[accessKey] = a
	return all
}
