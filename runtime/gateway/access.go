package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/msctl/msctl/runtime/principal"
)

// Authenticator recognizes callers by one kind of credentials. Package auth has those for
// tokens and API keys. Its methods are called concurrently.
type Authenticator interface {
	// Authenticate returns the caller of a request. The error is ErrNoCredentials if the
	// request has no credentials of this kind, and ErrAuthentication if they cannot be checked
	// now. With any other error, the request is rejected with status 401; the error is logged
	// and never sent, so it must not contain the credentials.
	Authenticate(req *http.Request) (*principal.Principal, error)
	// Scheme names and describes the credentials in the OpenAPI document.
	Scheme() (name string, scheme *huma.SecurityScheme)
}

var (
	// ErrNoCredentials reports that a request has no credentials of an Authenticator's kind.
	ErrNoCredentials = errors.New("no credentials")
	// ErrAuthentication reports that credentials cannot be checked now, for example because
	// the issuer's keys are not available. The response has status 503.
	ErrAuthentication = errors.New("credentials cannot be checked")
)

// AccessOption determines who may use a route or an operation.
type AccessOption interface {
	RouteOption
	OperationOption
}

// access is what an operation requires of its caller. The zero value requires an authenticated
// caller.
type access struct {
	public bool
	scopes []string
	roles  []string
	rates  []Rate
}

// limited reports whether not every authenticated caller is admitted.
func (a access) limited() bool { return !a.public && len(a.scopes)+len(a.roles) > 0 }

type accessOption func(*access)

func (f accessOption) applyRoute(r *route)         { f(&r.access) }
func (f accessOption) applyOperation(o *operation) { f(&o.access) }

// WithPublic opens a route or an operation to all callers. Without it, the caller must be
// authenticated: a route that states nothing about access is closed. Credentials that are sent
// anyway are checked, and ignored if they are not valid. On a gateway, it opens every route and
// operation that states nothing, for a gateway that only other authenticated programs reach.
func WithPublic() interface {
	Option
	AccessOption
} {
	return publicOption{accessOption(func(a *access) { a.public, a.scopes, a.roles = true, nil, nil })}
}

type publicOption struct{ accessOption }

func (o publicOption) applyGateway(g *Gateway) { g.public = true }

// WithScopes admits callers that have all of the scopes. Others get status 403.
func WithScopes(scopes ...string) AccessOption {
	return accessOption(func(a *access) { a.public, a.scopes = false, append(a.scopes, scopes...) })
}

// WithRoles admits callers that have at least one of the roles. Others get status 403.
func WithRoles(roles ...string) AccessOption {
	return accessOption(func(a *access) { a.public, a.roles = false, append(a.roles, roles...) })
}

// WithAuthentication recognizes callers by one of the methods, which are tried in order. Without
// it, only public routes can be used.
func WithAuthentication(methods ...Authenticator) Option {
	return gatewayOption(func(g *Gateway) { g.authenticators = append(g.authenticators, methods...) })
}

// WithPrincipals sends the caller of a request, signed, in the metadata of its messages. The
// services verify it with the same key: see package principal.
func WithPrincipals(key *principal.Key) Option {
	return gatewayOption(func(g *Gateway) { g.principals = key })
}

// guardedAdapter lets no request reach an operation that its caller may not use. Because every
// route and operation is registered through it, none can be left out.
type guardedAdapter struct {
	huma.Adapter

	gateway *Gateway
}

const accessKey = "access" // in an operation's Metadata

// Handle registers an operation behind its access.
func (a guardedAdapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	need, ok := op.Metadata[accessKey].(access)
	if !ok { // an operation of huma's own
		need.rates = a.gateway.limits.rates
	}
	a.gateway.paths = append(a.gateway.paths, op.Path)
	limits := a.gateway.limitsOf(op, need.rates)
	a.Adapter.Handle(op, func(ctx huma.Context) {
		req, w := humago.Unwrap(ctx)
		x := exchangeOf(req.Context())
		x.route = op.Method + " " + op.Path
		caller, problem := a.gateway.admit(w, req, need, limits)
		if problem == nil && op.MaxBodyBytes > 0 && req.ContentLength > op.MaxBodyBytes { // as decoded does for routes
			problem = tooLargeProblem()
		}
		if problem != nil {
			a.gateway.challenge(w, problem)
			x.fail(w, problem)
			return
		}
		if caller != nil {
			x.principal = caller
			ctx = huma.WithContext(ctx, principal.NewContext(ctx.Context(), caller))
		}
		handler(ctx)
	})
}

// admit returns the caller of a request, or the reason why it is rejected. The caller is nil if
// it is anonymous. The order matters: credentials are checked only of an address that keeps to its
// limit, and what a caller may do is found out only by one that keeps to those of the route.
func (g *Gateway) admit(w http.ResponseWriter, req *http.Request, need access, limits []*rateLimit) (*principal.Principal, *problem) {
	if problem := g.countAddress(w, req); problem != nil {
		return nil, problem
	}
	caller, err := g.authenticate(req)
	if problem := g.count(w, req, caller, limits); problem != nil {
		return caller, problem
	}
	return caller, need.check(caller, err)
}

// check returns the reason why a caller is rejected, or nil. The error is that of its credentials.
func (a access) check(caller *principal.Principal, err error) *problem {
	switch {
	case a.public:
		return nil
	case errors.Is(err, ErrAuthentication):
		return uncheckedProblem().because(err)
	case caller == nil:
		return unauthorizedProblem().because(err)
	case !caller.HasScopes(a.scopes...), len(a.roles) > 0 && !caller.HasAnyRole(a.roles...):
		return forbiddenProblem()
	}
	return nil
}

// authenticate returns the caller that the first method recognizes. The error is that of the
// first method whose credentials the request has.
func (g *Gateway) authenticate(req *http.Request) (*principal.Principal, error) {
	var first error
	for _, method := range g.authenticators {
		caller, err := method.Authenticate(req)
		switch {
		case err == nil && caller != nil:
			return caller, nil
		case errors.Is(err, ErrNoCredentials):
		case first == nil || errors.Is(err, ErrAuthentication):
			first = err
		}
	}
	return nil, first
}

// challenge names the kinds of credentials that the gateway accepts, as RFC 9110 requires of a
// 401.
func (g *Gateway) challenge(w http.ResponseWriter, p *problem) {
	if p.status != http.StatusUnauthorized {
		return
	}
	for _, method := range g.authenticators {
		if _, scheme := method.Scheme(); scheme.Type == "http" {
			kind := strings.ToUpper(scheme.Scheme[:1]) + scheme.Scheme[1:]
			if p.cause != nil && kind == "Bearer" {
				kind += ` error="invalid_token"`
			}
			w.Header().Add("WWW-Authenticate", kind)
		}
	}
}

// security documents what an operation requires.
func (g *Gateway) security(a access) []map[string][]string {
	if a.public {
		return []map[string][]string{}
	}
	var all []map[string][]string
	for _, method := range g.authenticators {
		name, _ := method.Scheme()
		all = append(all, map[string][]string{name: append([]string{}, a.scopes...)})
	}
	return all
}

// sign returns the metadata for the caller of a request; empty if there is nothing to send.
func (g *Gateway) sign(ctx context.Context) (string, error) {
	caller := principal.FromContext(ctx)
	if g.principals == nil || caller == nil {
		return "", nil
	}
	return g.principals.Sign(caller)
}
