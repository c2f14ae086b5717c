package gateway

import (
	"fmt"
	"net/http"
)

// panicError is a handler's panic as an error.
type panicError struct{ value any }

func (p panicError) Error() string { return fmt.Sprint("panic: ", p.value) }

// response records what has been sent.
type response struct {
	http.ResponseWriter
	status int // 0 until the header is sent
	bytes  int64
}

// Unwrap returns the underlying writer, for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// routed gives the responses of the mux to requests without a route the form of all other
// errors.
func (g *Gateway) routed(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, known := mux.Handler(req); known != "" {
			mux.ServeHTTP(w, req)
			return
		}
		own := &discarded{header: http.Header{}}
		mux.ServeHTTP(own, req)
		if location := own.header.Get("Location"); location != "" {
			w.Header().Set("Location", location)
			w.WriteHeader(own.status)
			return
		}
		if allow := own.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
		}
		message := "Cannot " + req.Method + " " + shown(req.URL.Path)
		exchangeOf(req.Context()).fail(w, newProblem(own.status, message))
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
