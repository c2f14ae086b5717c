package gateway

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

const (
	typeJSON   = "application/json; charset=utf-8"
	typeNDJSON = "application/x-ndjson"
)

// serveOne forwards the value of a reply, and the last one of several.
func (r *route) serveOne(ctx context.Context, w http.ResponseWriter, req *http.Request, message *micro.Request) {
	var body []byte
	err := r.client.Do(ctx, message, micro.ReplyFunc(func(v micro.Value) error {
		if !v.Undefined() {
			body = append(body[:0], v.Raw...)
		}
		return nil
	}))
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

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", typeJSON)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails if the client has gone; the log has the number of bytes written
}

// serveEvent sends an event.
func (r *route) serveEvent(ctx context.Context, w http.ResponseWriter, message *micro.Request) {
	err := r.client.Do(ctx, message, micro.ReplyFunc(func(micro.Value) error { return nil }))
	if err != nil {
		exchangeOf(ctx).fail(w, problemOf(ctx, err))
		return
	}
	w.WriteHeader(r.status)
}

// each calls send with each value of a reply, in the form of the response.
func (r *route) each(ctx context.Context, message *micro.Request, send func(raw []byte) error) error {
	return r.client.Do(ctx, message, micro.ReplyFunc(func(v micro.Value) error {
		if v.Undefined() {
			return nil
		}
		raw := []byte(v.Raw)
		if r.output != nil {
			var err error
			if _, raw, err = r.output.value(ctx, raw); err != nil {
				return err
			}
		}
		return send(raw)
	}))
}

// serveMany forwards the values of a reply: as lines when they arrive, or as one array,
// which can still become an error until the last value.
func (r *route) serveMany(ctx context.Context, w http.ResponseWriter, req *http.Request, message *micro.Request) {
	if strings.Contains(req.Header.Get("Accept"), typeNDJSON) {
		r.serveLines(ctx, w, message)
		return
	}
	body := []byte{'['}
	err := r.each(ctx, message, func(raw []byte) error {
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
	err := r.each(ctx, message, func(raw []byte) error {
		begin()
		line = append(append(line[:0], raw...), '\n')
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
		_, _ = w.Write(append(p.body(), '\n'))
	default:
		begin()
	}
}
