package gateway

import (
	"cmp"
	"net/http"
	"time"
)

// WithHeaderLimits limits a request's URL, in bytes (status 414), and its header, in bytes and in
// lines (status 431). The defaults are 8 KiB, 64 KiB, and 100; 0 keeps them.
func WithHeaderLimits(url, header, lines int) Option {
	return gatewayOption(func(g *Gateway) {
		s := &g.serving
		s.maxURL, s.maxHeader, s.maxLines = cmp.Or(url, s.maxURL), cmp.Or(header, s.maxHeader), cmp.Or(lines, s.maxLines)
	})
}

// WithConnectionLimits limits how many connections may be open, and how long a client may take to
// accept 32 KiB of a response; then its connection is closed, so that clients that do not read
// hold no memory. Connections beyond the limit are closed at once. The defaults are 20,000 and
// 30 s; 0 keeps them.
func WithConnectionLimits(open int, stalled time.Duration) Option {
	return gatewayOption(func(g *Gateway) {
		g.serving.maxOpen = cmp.Or(int64(open), g.serving.maxOpen)
		g.serving.stalled = cmp.Or(stalled, g.serving.stalled)
	})
}

// oversized returns the reason why a request is rejected before anything looks at it, or nil.
func (g *Gateway) oversized(req *http.Request) *problem {
	lines := 0
	for _, values := range req.Header {
		lines += len(values)
	}
	switch {
	case len(req.RequestURI) > g.serving.maxURL:
		return newProblem(http.StatusRequestURITooLong, "The URL is too long")
	case lines > g.serving.maxLines:
		return newProblem(http.StatusRequestHeaderFieldsTooLarge, "The header has too many lines")
	}
	return nil
}
