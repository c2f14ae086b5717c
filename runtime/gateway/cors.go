package gateway

import (
	"net/http"
	"slices"

	"github.com/rs/cors"
)

// corsConfig determines which pages of other origins may use the API. The zero value allows none.
type corsConfig struct {
	origins, headers []string
	credentials      bool
	exposed          []string // of the routes' own headers
}

// WithCORS allows pages of other origins to use the API: "https://shop.example", or
// "*" for any. By default, and without origins, no other origin is allowed.
func WithCORS(origins ...string) Option {
	return gatewayOption(func(g *Gateway) { g.cors.origins = origins })
}

// WithCORSHeaders allows such pages to send more headers than Authorization, Content-Type,
// X-Api-Key, X-Correlation-Id, Traceparent, If-Match, If-None-Match, and Idempotency-Key; "*"
// allows any.
func WithCORSHeaders(names ...string) Option {
	return gatewayOption(func(g *Gateway) { g.cors.headers = append(g.cors.headers, names...) })
}

// WithCORSCredentials allows such pages to send cookies and other credentials of the browser. It
// cannot be combined with the origin "*", with which every page could act as its visitor: Handler
// panics.
func WithCORSCredentials() Option {
	return gatewayOption(func(g *Gateway) { g.cors.credentials = true })
}

// expose makes pages of other origins see headers.
func (c *corsConfig) expose(names ...string) {
	for _, name := range names {
		if !slices.Contains(c.exposed, name) {
			c.exposed = append(c.exposed, name)
		}
	}
}

func (c corsConfig) wrap(next http.Handler) http.Handler {
	if len(c.origins) == 0 {
		return next
	}
	if c.credentials && slices.Contains(c.origins, "*") {
		panic(`gateway: WithCORSCredentials cannot be combined with WithCORS("*"): name the origins`)
	}
	allowed := []string{"Authorization", "Content-Type", "X-Api-Key", headerCorrelation, headerTraceparent, "If-Match", "If-None-Match", "Idempotency-Key"}
	return cors.New(cors.Options{
		AllowedOrigins:   c.origins,
		AllowedMethods:   []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"},
		AllowedHeaders:   append(allowed, c.headers...),
		ExposedHeaders:   append([]string{headerCorrelation, "Retry-After", "ETag"}, c.exposed...),
		AllowCredentials: c.credentials,
		MaxAge:           600,
	}).Handler(next)
}
