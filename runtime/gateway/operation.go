package gateway

import (
	"context"
	"maps"

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
	o := operation{access{public: g.public}}
	for _, opt := range opts {
		opt.applyOperation(&o)
	}
	op.Metadata = withAccess(op.Metadata, o.access)
	op.Security = g.security(o.access)
	huma.Register(g.api, op, handler)
}

// withAccess returns a copy of an operation's metadata with its access.
func withAccess(metadata map[string]any, a access) map[string]any {
	all := map[string]any{}
	maps.Copy(all, metadata)
	all[accessKey] = a
	return all
}
