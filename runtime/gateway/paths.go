package gateway

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// canonical returns a request for the path of a route that a request's path matches apart from
// case and a slash at its end, or the request itself.
func (g *Gateway) canonical(req *http.Request) *http.Request {
	if g.strictPaths {
		return req
	}
	given := strings.Split(strings.Trim(req.URL.EscapedPath(), "/"), "/")
	for _, known := range g.paths {
		escaped, ok := alike(known, given)
		if !ok || escaped == req.URL.EscapedPath() {
			continue
		}
		plain, err := url.PathUnescape(escaped)
		if err != nil {
			return req
		}
		other := req.Clone(req.Context())
		other.URL.Path, other.URL.RawPath = plain, escaped
		return other
	}
	return req
}

// alike returns the path of a request, in its segments, with the spelling of a route.
func alike(known string, given []string) (string, bool) {
	segments := strings.Split(strings.Trim(known, "/"), "/")
	if len(segments) != len(given) {
		return "", false
	}
	all := make([]string, len(given))
	for i, segment := range segments {
		switch {
		case strings.HasPrefix(segment, "{"):
			if given[i] == "" || strings.HasSuffix(segment, "...}") || segment == "{$}" {
				return "", false
			}
			all[i] = given[i]
		case strings.EqualFold(segment, given[i]):
			all[i] = segment
		default:
			return "", false
		}
	}
	return "/" + strings.Join(all, "/"), true
}

// irregular reports whether a path has empty segments or dots, which no route has. net/http would
// redirect such a request, and a client might repeat it without its body.
func irregular(p string) bool {
	return p != "/" && path.Clean(p) != strings.TrimSuffix(p, "/")
}

// routed gives the responses of the mux to requests without a route the form of all other
// errors.
func (g *Gateway) routed(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		notFound := func(status int) {
			if problem := g.countAddress(w, req); problem != nil {
				exchangeOf(req.Context()).fail(w, problem)
				return
			}
			exchangeOf(req.Context()).fail(w, newProblem(status, "Cannot "+req.Method+" "+shown(req.URL.Path)))
		}
		if irregular(req.URL.Path) {
			notFound(http.StatusNotFound)
			return
		}
		if _, known := mux.Handler(req); known != "" {
			mux.ServeHTTP(w, req)
			return
		}
		other := g.canonical(req)
		if _, known := mux.Handler(other); known != "" {
			mux.ServeHTTP(w, other)
			return
		}
		own := &discarded{header: http.Header{}}
		mux.ServeHTTP(own, other)
		if location := own.header.Get("Location"); location != "" {
			w.Header().Set("Location", location)
			w.WriteHeader(own.status)
			return
		}
		if allow := own.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			if req.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		notFound(own.status)
	})
}

// discarded receives a response that is not sent.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }
func (d *discarded) WriteHeader(status int)      { d.status = status }
