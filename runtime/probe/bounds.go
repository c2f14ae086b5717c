package probe

import (
	"net/http"
	"time"
)

const (
	maxConnections = 256              // further ones are closed
	stalledTime    = 10 * time.Second // limits how long a client does not read
	bodyTime       = time.Second      // limits how long the server reads the rest of a body
)

// withoutBody rejects requests with a body, which nothing on the port needs, and closes their
// connection.
func withoutBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ContentLength != 0 {
			// The server reads some of the rest before it closes the connection, so that the
			// client gets the response. The body may never end.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
			w.Header().Set("Connection", "close")
			http.Error(w, "this port accepts no request bodies", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, req)
	})
}
