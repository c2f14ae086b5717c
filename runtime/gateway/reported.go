package gateway

import (
	"context"
	"net/http"
	"strings"

	"github.com/msctl/msctl/runtime/tap"
)

// observer is what WithObserver takes.
type observer = func(*http.Request) (context.Context, func(route string, status int))

// reported returns an observer that reports each request, apart from health checks, and then calls
// next, unless that is nil.
func reported(reporter *tap.Reporter, next observer) observer {
	return func(req *http.Request) (context.Context, func(string, int)) {
		ctx, end := req.Context(), func(string, int) {}
		if reporter.Recording() && !strings.HasPrefix(req.URL.Path, "/health") {
			span := reporter.Start(&tap.Span{
				Kind: tap.HTTP, Pattern: req.Method + " " + req.URL.Path, Path: req.URL.Path, Transport: "http", Peer: req.RemoteAddr,
				Correlation: req.Header.Get(headerCorrelation),
			}, tap.TraceOf(req.Header.Get(headerTraceparent)))
			ctx = tap.NewContext(ctx, span.Ref())
			end = func(route string, status int) {
				span.Route, span.Status = route, status
				span.End(httpOutcome(status), nil)
			}
		}
		if next == nil {
			return ctx, end
		}
		ctx, theirs := next(req.WithContext(ctx))
		return ctx, func(route string, status int) {
			theirs(route, status)
			end(route, status)
		}
	}
}

// httpOutcome returns how a request ended. A status below 400 is a success.
func httpOutcome(status int) tap.Outcome {
	switch {
	case status == 0:
		return tap.Abandoned
	case status >= http.StatusBadRequest:
		return tap.Failed
	}
	return tap.OK
}
