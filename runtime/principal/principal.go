// Package principal carries the caller of a request, as the gateway has authenticated it,
// to the services behind the gateway. It requires only the standard library.
//
// The gateway signs a [Principal] with a [Key] and sends it in the metadata of each message
// (gateway.WithPrincipals). A service verifies the signature and requires what a message
// needs:
//
//	s := micro.NewServer(principal.Accept(key))
//	items.DeleteItem.Handle(s, remove, principal.Require("items:delete"))
//
//	func remove(ctx context.Context, in items.ItemID) (items.Item, error) {
//		who := principal.FromContext(ctx) // never nil after Require
//
// A service that calls other services passes the principal on with [Forward].
//
// A signed principal is a JSON Web Token with the algorithm HS256, so a NestJS service reads
// it with any JWT library, or with a few lines of node:crypto (docs/gateway.md).
package principal

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// Principal is an authenticated caller: a user, or a program. Treat it as read-only; requests
// with the same token share it.
type Principal struct {
	// Subject identifies the caller: the claim sub of a token, or the name of an API key.
	Subject string
	// Issuer is the claim iss of the token; empty for an API key.
	Issuer string
	// Scopes are the permissions that the caller was granted, such as "items:write".
	Scopes []string
	// Roles are the groups of users that the caller belongs to, such as "admin".
	Roles []string
	// Claims are all claims of the token as a JSON object; nil for an API key.
	Claims json.RawMessage
	// Expires is when the authentication ends; zero for never.
	Expires time.Time
}

// HasScopes reports whether the caller has all of the scopes. A nil Principal has none.
func (p *Principal) HasScopes(all ...string) bool {
	return p != nil && !slices.ContainsFunc(all, func(s string) bool { return !slices.Contains(p.Scopes, s) })
}

// HasAnyRole reports whether the caller has at least one of the roles. A nil Principal has
// none.
func (p *Principal) HasAnyRole(roles ...string) bool {
	return p != nil && slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(p.Roles, r) })
}

type contextKey struct{}

// NewContext returns a context with a principal.
func NewContext(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext returns the principal of ctx: in a service, that of a verified message, and in
// the gateway, that of an authenticated request. It is nil for an anonymous caller.
func FromContext(ctx context.Context) *Principal {
	p, _ := ctx.Value(contextKey{}).(*Principal)
	return p
}
