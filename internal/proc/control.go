package proc

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/workspace"
)

// A run serves its status, and requests to stop it or to pause a service, on a loopback
// port. The address and a secret are in this file in the folder of the run, which only the
// user can read and which is removed with the run.
const controlFile = "control.json"

// errStopped is the cause when `msctl stop` ends a run.
var errStopped = errors.New("stopped")

// Control is the connection of another process to a running `msctl run`.
type Control struct {
	Address string `json:"address"`
	Secret  string `json:"secret"`
	Pid     int    `json:"pid"`
	// Suspended reports that the run has been suspended, as by Ctrl-Z, and therefore
	// answers no request until it continues. Its services are running.
	Suspended bool `json:"-"`
}

// control serves the requests of a Control until stop is called.
func (r *run) control(ctx context.Context, session string) (stop func(), err error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the control port: %w", err)
	}
	c := Control{Address: l.Addr().String(), Secret: rand.Text(), Pid: os.Getpid()}
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(filepath.Join(session, controlFile), text, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the control port: %w", err), l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(r.board.read()) // fails if the client has gone
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		r.stopped.Store(true)
		r.fail(errStopped)
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("POST /pause", r.servePause)
	mux.HandleFunc("GET /messages", r.serveMessages)
	server := &http.Server{Handler: c.authorized(mux), ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // until Close
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-done
	}, nil
}

// authorized rejects requests without the secret.
func (c Control) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if subtle.ConstantTimeCompare([]byte(req.Header.Get("Authorization")), []byte("Bearer "+c.Secret)) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// Runs returns the active runs of a workspace, and those that are suspended. cacheDir is that of [Options].
func Runs(ctx context.Context, w *workspace.Workspace, cacheDir string) ([]Control, error) {
	dir, err := workspaceCache(w, cacheDir)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, sessionPrefix+"*", controlFile))
	if err != nil {
		return nil, fmt.Errorf("find runs: %w", err)
	}
	var found []Control
	for _, file := range files {
		c, err := readControl(file)
		if err != nil {
			continue // it has just ended or started
		}
		if c.Suspended = c.Pid != 0 && child.Suspended(c.Pid); c.Suspended {
			found = append(found, c)
		} else if _, err := c.Status(ctx); err == nil {
			found = append(found, c)
		}
	}
	return found, nil
}

func readControl(file string) (c Control, err error) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// Status returns the status of the run.
func (c Control) Status(ctx context.Context) (Status, error) {
	var status Status
	body, err := c.request(ctx, http.MethodGet, "/status")
	if err != nil {
		return status, err
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return status, fmt.Errorf("query the run at %s: %w", c.Address, err)
	}
	return status, nil
}

// Stop makes the run drain all services, and returns when the run has ended.
func (c Control) Stop(ctx context.Context) error {
	if _, err := c.request(ctx, http.MethodPost, "/stop"); err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := c.Status(ctx); err != nil && ctx.Err() == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c Control) request(ctx context.Context, method, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	res, err := c.send(ctx, method, path)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(nil, res.Body, 1<<20)); err != nil {
		return nil, fmt.Errorf("query the run at %s: %w", c.Address, err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		if text := strings.TrimSpace(body.String()); text != "" {
			return nil, errors.New(text)
		}
		return nil, fmt.Errorf("query the run at %s: %s", c.Address, res.Status)
	}
	return body.Bytes(), nil
}

// send sends a request to the run. The body of the response must be closed.
func (c Control) send(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.Address+path, nil)
	if err != nil {
		return nil, fmt.Errorf("query the run at %s: %w", c.Address, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Secret)
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("query the run at %s: %w", c.Address, err)
	}
	return res, nil
}
