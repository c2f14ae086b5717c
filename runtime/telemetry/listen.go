package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/msctl/msctl/runtime/micro"
)

const (
	readyTimeout = 3 * time.Second        // limits a check of /ready
	portRetry    = 250 * time.Millisecond // between attempts to open a port that is in use
)

// Listen serves the private port at address, "host:port", in the background until Close:
//
//	/metrics       metrics, for Prometheus
//	/live          200 while the process serves HTTP
//	/ready         200 if every server is ready (micro.Server.Ready), and otherwise 503;
//	               503 from the moment that ctx ends, while servers drain
//	/debug/pprof/  profiles, for go tool pprof
//
// Use another port than the public one: what it serves is not for strangers. Without a host,
// ":9464", it listens on the loopback interface only; "0.0.0.0:9464" is for all of them, as
// Prometheus and Kubernetes need it. With the empty address, it does nothing.
//
// An address that cannot be used is an error. A port that is in use is logged and tried again,
// because the previous process of the service may be draining.
func (t *Telemetry) Listen(ctx context.Context, address string, servers ...*micro.Server) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	if host == "" {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	p := newPrivatePort(address, t.log, t.privateHandler(ctx, servers))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errors.New("telemetry: Listen was called after Close")
	}
	if err := p.open(); err != nil {
		return fmt.Errorf("telemetry: listen on %s: %w", address, err)
	}
	t.private = append(t.private, p)
	return nil
}

func (t *Telemetry) privateHandler(ctx context.Context, servers []*micro.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(t.log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) { writeStatus(w, "ok", nil) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, req *http.Request) {
		if ctx.Err() != nil {
			writeStatus(w, "shutting_down", nil)
			return
		}
		asking, cancel := context.WithTimeout(req.Context(), readyTimeout)
		defer cancel()
		for _, s := range servers {
			if err := s.Ready(asking); err != nil {
				writeStatus(w, "error", err)
				return
			}
		}
		writeStatus(w, "ok", nil)
	})
	addProfiles(mux)
	return mux
}

// writeStatus writes a probe's result. Only "ok" has status 200.
func writeStatus(w http.ResponseWriter, status string, err error) {
	body := map[string]string{"status": status}
	if err != nil {
		body["message"] = err.Error()
	}
	text, err := json.Marshal(body)
	if err != nil {
		text = []byte(`{"status":"error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(text, '\n')) // an error means that the caller is gone
}

// privatePort is one HTTP server. Its goroutine ends with close.
type privatePort struct {
	address string
	log     *slog.Logger
	server  *http.Server
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	done    chan struct{}
	bound   chan net.Addr // has the address when the port is open
}

func newPrivatePort(address string, log *slog.Logger, handler http.Handler) *privatePort {
	p := &privatePort{address: address, log: log, done: make(chan struct{}), bound: make(chan net.Addr, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return p
}

// open opens the port and serves it. It returns an error unless the port is open or in use.
func (p *privatePort) open() error {
	socket, err := p.listen()
	switch {
	case err == nil:
		go p.serve(socket)
	case inUse(err):
		p.log.Warn("the private port is in use; trying again until it is free", "address", p.address)
		go p.retry()
	default:
		p.cancel()
		return err
	}
	return nil
}

// inUse reports whether another process has opened the port.
func inUse(err error) bool {
	const windows = syscall.Errno(10048) // WSAEADDRINUSE, which syscall does not define
	return errors.Is(err, syscall.EADDRINUSE) || runtime.GOOS == "windows" && errors.Is(err, windows)
}

func (p *privatePort) listen() (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(p.ctx, "tcp", p.address)
}

func (p *privatePort) retry() {
	tick := time.NewTicker(portRetry)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			close(p.done)
			return
		case <-tick.C:
		}
		if socket, err := p.listen(); err == nil {
			p.serve(socket)
			return
		}
	}
}

func (p *privatePort) serve(socket net.Listener) {
	defer close(p.done)
	p.log.Info("listening", "transport", "http (private)", "address", socket.Addr().String())
	p.bound <- socket.Addr()
	if err := p.server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
		p.log.Error("the private port has failed", "address", p.address, "error", err)
	}
}

// close closes the port and its connections, and waits for the goroutine.
func (p *privatePort) close() {
	p.cancel()
	_ = p.server.Close() // the listener was closed, or was never opened
	<-p.done
}
