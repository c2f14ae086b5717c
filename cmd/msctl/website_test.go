package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"
)

// runWebsite is `website -addr FILE [-requests FILE]`. It is an HTTP server on a free
// port, and writes host:port to FILE. /fail answers 503, every other path 200. For each
// request it appends a line to -requests: method, path, X-Tenant, and body.
func runWebsite() int {
	addr := flag.String("addr", "addr", "")
	requests := flag.String("requests", "", "")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return complain(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: website(*requests)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := writeAddress(*addr, listener.Addr()); err != nil {
		return complain(err)
	}
	<-ctx.Done()
	_ = server.Close() // also ends requests in flight
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return complain(err)
	}
	return 0
}

func website(requests string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = appendLine(requests, fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get("X-Tenant"), body))
		}
		if err != nil || r.URL.Path == "/fail" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, `{"ok":true}`) // the client may have disconnected
	})
}
