package gateway

import (
	"fmt"
	"net/http"
	"time"

	"github.com/msctl/msctl/runtime/internal/bounded"
)

// panicError is a handler's panic as an error.
type panicError struct{ value any }

func (p panicError) Error() string { return fmt.Sprint("panic: ", p.value) }

// response records what has been sent.
type response struct {
	http.ResponseWriter
	status int // 0 until the header is sent
	bytes  int64
	// stalled limits how long a client of HTTP/2 may take to accept a part of the response. Its
	// connection may be fine while it does not read this stream. 0 is no limit.
	stalled time.Duration
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
	n, err := w.write(b)
	w.bytes += int64(n)
	return n, err
}

func (w *response) write(b []byte) (n int, err error) {
	if w.stalled == 0 {
		return w.ResponseWriter.Write(b)
	}
	control := http.NewResponseController(w.ResponseWriter)
	for {
		_ = control.SetWriteDeadline(time.Now().Add(w.stalled)) // fails if there is no connection
		written, err := w.ResponseWriter.Write(b[n:min(n+bounded.Chunk, len(b))])
		n += written
		if err != nil || n == len(b) {
			return n, err
		}
	}
}
