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
	"strings"
	"time"
)

// runWebsite is `website -addr FILE [-requests FILE] [-files DIR]`. It is an HTTP server on a
// free port, and writes host:port to FILE. With -files, it serves the files of DIR, those below
// /private to requests with an Authorization only. /fail answers 503, /moved redirects to /items,
// /created answers 201, /escape answers 418 with a hostile text, and /reject answers 401
// and repeats the request's credentials; every other path answers 200. For each request
// it appends a line to -requests: method, path, X-Tenant, body, and, if there is one,
// Authorization. HTTP/2 is available without TLS.
func runWebsite() int {
	addr := flag.String("addr", "addr", "")
	requests := flag.String("requests", "", "")
	files := flag.String("files", "", "")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return complain(err)
	}
	handler := website(*requests)
	if *files != "" {
		handler = filesIn(*files)
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: handler, Protocols: protocols}
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

func filesIn(dir string) http.Handler {
	files := http.FileServer(http.Dir(dir))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/private/") && r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		files.ServeHTTP(w, r)
	})
}

func website(requests string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" {
			collect(requests, w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			line := fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get("X-Tenant"), body)
			if credential := r.Header.Get("Authorization"); credential != "" {
				line += " " + credential
			}
			err = appendLine(requests, line)
		}
		status, answer := http.StatusOK, fmt.Sprintf(`{"ok":true,"proto":%d}`, r.ProtoMajor)
		switch {
		case err != nil || r.URL.Path == "/fail":
			status = http.StatusServiceUnavailable
		case r.URL.Path == "/created":
			status = http.StatusCreated
		case r.URL.Path == "/escape":
			status, answer = http.StatusTeapot, hostile
		case r.URL.Path == "/reject":
			status, answer = http.StatusUnauthorized, fmt.Sprintf("rejected %s %s %s", r.Header.Get("Authorization"), r.URL, body)
		case r.URL.Path == "/moved":
			w.Header().Set("Location", "/items")
			status = http.StatusFound
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer) // the client may have disconnected
	})
}
