package principal

import (
	"context"

	"github.com/msctl/msctl/runtime/micro"
)

// The statuses of NestJS's ForbiddenException and UnauthorizedException.
const (
	statusUnauthorized = 401
	statusForbidden    = 403
)

// MetadataKey is the metadata that carries a signed principal.
const MetadataKey = "principal"

// Accept makes a server verify the principal of each message. A request with an invalid or
// expired one is rejected: status 401. Messages without one are anonymous, and so is an
// event with an invalid or expired one, because an event may wait in a queue for longer than
// its principal is valid, and rejecting it would lose it: add [Require] to the handlers that
// need a caller. With a nil key, every message is anonymous.
func Accept(k *Key) micro.ServerOption {
	return micro.WithInterceptors(func(next micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			signed := req.Metadata.Get(MetadataKey)
			if signed == "" || k == nil {
				return next(ctx, req, reply)
			}
			p, err := k.Verify(signed)
			switch {
			case err == nil:
				ctx = NewContext(ctx, p)
			case !req.Event:
				return unauthorized()
			}
			return next(ctx, req, reply)
		}
	})
}

// Require makes a handler, or all handlers of a server, reject messages whose principal does
// not have all of the scopes: with status 401 if the caller is anonymous, and 403 otherwise.
// Without scopes, any authenticated caller is accepted. It requires [Accept] on the server.
func Require(scopes ...string) micro.HandlerOption {
	return require(func(p *Principal) bool { return p.HasScopes(scopes...) })
}

// RequireRole is [Require] for callers with at least one of the roles.
func RequireRole(roles ...string) micro.HandlerOption {
	return require(func(p *Principal) bool { return p.HasAnyRole(roles...) })
}

func require(allowed func(*Principal) bool) micro.HandlerOption {
	return micro.WithInterceptors(func(next micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			p := FromContext(ctx)
			switch {
			case p == nil:
				return unauthorized()
			case !allowed(p):
				return micro.Errorf(statusForbidden, "Forbidden resource")
			}
			return next(ctx, req, reply)
		}
	})
}

func unauthorized() error { return micro.Errorf(statusUnauthorized, "Unauthorized") }

// Forward makes a client pass on the principal of the message that its caller is handling, as
// it was signed, to services that accept the same key.
func Forward() micro.ClientOption {
	return micro.WithInterceptors(func(next micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			handled := micro.RequestFromContext(ctx)
			if handled == nil || req.Metadata.Get(MetadataKey) != "" {
				return next(ctx, req, reply)
			}
			if signed := handled.Metadata.Get(MetadataKey); signed != "" {
				req.Metadata.Set(MetadataKey, signed)
			}
			return next(ctx, req, reply)
		}
	})
}

// As makes a client send p, signed with k, with every message that has no principal yet: for a
// program that acts on its own account, such as a scheduled job, and for tests.
func As(k *Key, p *Principal) micro.ClientOption {
	return micro.WithInterceptors(func(next micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			if req.Metadata.Get(MetadataKey) == "" {
				signed, err := k.Sign(p)
				if err != nil {
					return err
				}
				req.Metadata.Set(MetadataKey, signed)
			}
			return next(ctx, req, reply)
		}
	})
}
