package gateway

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/gateway/internal/sse"
	"github.com/msctl/msctl/runtime/micro"
)

const (
	typeJSON   = "application/json; charset=utf-8"
	typeNDJSON = "application/x-ndjson"
)

// writeTimeout is how long a client may take to accept a line of a stream.
const writeTimeout = 15 * time.Second

// serveOne forwards the value of a reply, and the last one of several.
func (r *route) serveOne(ctx context.Context, w http.ResponseWriter, req *http.Request, message *micro.Request) {
	var body []byte
	err := r.do(ctx, message, micro.ReplyFunc(func(v micro.Value) error {
		if !v.Undefined() {
			body = append(body[:0], v.Raw...)
		}
		return nil
	}))
	if err == nil {
		err = r.addPages(w.Header(), req.URL.Query(), message.Data, body)
	}
	if err == nil {
		err = r.addVersionTag(w.Header(), body)
	}
	if err == nil && r.output != nil {
		err = r.output.write(ctx, w, req, r.status, body)
	}
	switch {
	case err != nil:
		exchangeOf(ctx).fail(w, problemOf(ctx, err))
	case r.output != nil:
	case len(body) == 0:
		w.WriteHeader(r.status)
	default:
		writeTagged(w, req, r.status, body)
	}
}

func writeJSON(w http.ResponseWriter, status int, body []byte) { writeBody(w, typeJSON, status, body) }

func writeBody(w http.ResponseWriter, contentType string, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails if the client has gone; the log has the number of bytes written
}

// serveEvent sends an event.
func (r *route) serveEvent(ctx context.Context, w http.ResponseWriter, message *micro.Request) {
	err := r.do(ctx, message, micro.ReplyFunc(func(micro.Value) error { return nil }))
	if err != nil {
		exchangeOf(ctx).fail(w, problemOf(ctx, err))
		return
	}
	w.WriteHeader(r.status)
}

// each calls send with each value of a reply, in the form of the response, and with what
// WithOutput returned.
func (r *route) each(ctx context.Context, message *micro.Request, send func(raw []byte, shaped reflect.Value) error) error {
	return r.do(ctx, message, micro.ReplyFunc(func(v micro.Value) error {
		if v.Undefined() {
			return nil
		}
		if r.output == nil {
			return send(v.Raw, reflect.Value{})
		}
		shaped, raw, err := r.output.value(ctx, v.Raw)
		if err != nil {
			return err
		}
		return send(raw, shaped)
	}))
}

// serveMany forwards the values of a reply: as lines when they arrive, or as one array,
// which can still become an error until the last value.
func (r *route) serveMany(ctx context.Context, w http.ResponseWriter, req *http.Request, message *micro.Request) {
	w.Header().Add("Vary", "Accept")
	kind, head := streamType(req), req.Method == http.MethodHead
	switch {
	case kind != "" && head: // without waiting for a value
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(r.status)
		return
	case kind == sse.Type:
		r.serveEvents(ctx, w, message)
		return
	case kind == typeNDJSON:
		r.serveLines(ctx, w, message)
		return
	}
	body := []byte{'['}
	err := r.each(ctx, message, func(raw []byte, _ reflect.Value) error {
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = append(body, raw...)
		return nil
	})
	if err != nil {
		exchangeOf(ctx).fail(w, problemOf(ctx, err))
		return
	}
	writeTagged(w, req, r.status, append(body, ']'))
}

// streamType returns the media type in which a request accepts values as they arrive; empty for
// an array.
func streamType(req *http.Request) string {
	accept := strings.ToLower(strings.Join(req.Header.Values("Accept"), ","))
	for _, kind := range []string{sse.Type, typeNDJSON} {
		if strings.Contains(accept, kind) {
			return kind
		}
	}
	return ""
}

// serveLines sends each value as a line. An error after the first line becomes the last
// line, because the status has been sent.
func (r *route) serveLines(ctx context.Context, w http.ResponseWriter, message *micro.Request) {
	x := exchangeOf(ctx)
	control := http.NewResponseController(w)
	begun := false
	begin := func() {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", typeNDJSON)
			w.WriteHeader(r.status)
		}
	}
	var line []byte
	err := r.each(ctx, message, func(raw []byte, _ reflect.Value) error {
		begin()
		line = append(line[:0], raw...)
		sse.OneLine(line)
		line = append(line, '\n')
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // fails if there is no connection
		if _, err := w.Write(line); err != nil {
			return err
		}
		return control.Flush()
	})
	switch {
	case err != nil && !begun:
		x.fail(w, problemOf(ctx, err))
	case err != nil:
		p := problemOf(ctx, err)
		x.note(p)
		_, _ = w.Write(append(x.errors.body(p), '\n'))
	default:
		begin()
	}
}
