// Package web lets a load test's requests go over HTTP, to a gateway for example,
// under the same engine and the same policy as messages: its Conn is a micro.Conn
// whose requests are HTTP requests of one method and URL, with the message's data
// as their body.
//
// An HTTP client that gives up closes its connection, so late answers cannot be
// seen; whether the server goes on working is its own affair.
package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Options say what each request is. The zero Options are a GET without headers.
type Options struct {
	// Method is the HTTP method; "" is GET.
	Method string
	// Header is sent with each request.
	Header http.Header
	// TLS is for https; nil is the system's defaults.
	TLS *tls.Config
	// MaxBody bounds the answer's body, in bytes; 0 is 16 MiB.
	MaxBody int64
}

// Conn sends requests to one URL. It is safe for use from many goroutines.
type Conn struct {
	url       *url.URL
	opts      Options
	transport *http.Transport

	mu     sync.Mutex // guards what follows
	open   map[net.Conn]struct{}
	closed bool
}

const (
	defaultMaxBody = 16 << 20
	dialTimeout    = 5 * time.Second
	idleConns      = 1 << 14
)

// Dial makes a connection to an http or https URL. Nothing is connected before
// the first request; connections are kept and reused, as many as requests are
// in flight at once.
func Dial(address string, opts Options) (*Conn, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not an http or https URL", address)
	}
	if opts.Method == "" {
		opts.Method = http.MethodGet
	}
	if opts.MaxBody == 0 {
		opts.MaxBody = defaultMaxBody
	}
	if opts.Header == nil {
		opts.Header = http.Header{}
	}
	c := &Conn{url: u, opts: opts, open: map[net.Conn]struct{}{}}
	c.transport = &http.Transport{
		DialContext:         c.dial,
		TLSClientConfig:     opts.TLS,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConns:        idleConns,
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
	return c, nil
}

// dial makes a connection that Close can end.
func (c *Conn) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return nil, micro.ErrClosed
	}
	t := &tracked{conn, c}
	c.open[t] = struct{}{}
	return t, nil
}

// tracked is a connection that its Conn knows of until it is closed.
type tracked struct {
	net.Conn
	owner *Conn
}

// Close closes the connection and forgets it.
func (t *tracked) Close() error {
	t.owner.mu.Lock()
	delete(t.owner.open, t)
	t.owner.mu.Unlock()
	return t.Conn.Close()
}

// Exchange sends one HTTP request. A status of 400 or more is an error of the
// service with that status; any other is an answer, whose value is the body.
func (c *Conn) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	if !req.Deadline.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, req.Deadline)
		defer stop()
	}
	res, err := c.transport.RoundTrip(c.request(traced(ctx, req), req))
	if err != nil {
		return c.failure(ctx, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, c.opts.MaxBody+1))
	switch {
	case err != nil:
		return c.failure(ctx, err)
	case res.StatusCode >= http.StatusBadRequest:
		return remote(res.StatusCode, body)
	case int64(len(body)) > c.opts.MaxBody:
		return fmt.Errorf("%w: the answer has more than %d bytes", micro.ErrConnectionLost, c.opts.MaxBody)
	}
	return reply.Send(micro.Value{Raw: body, Last: true})
}

// traced tells the message's trace when the request is handed to a connection:
// with its headers, because the answer may be there before the end of the body
// is told of.
func traced(ctx context.Context, req *micro.Request) context.Context {
	if req.Trace == nil || req.Trace.Wrote == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { req.Trace.Wrote(time.Now(), req.Data) },
	})
}

// request makes the HTTP request of a message.
func (c *Conn) request(ctx context.Context, req *micro.Request) *http.Request {
	out := (&http.Request{
		Method: c.opts.Method, URL: c.url, Host: c.url.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: c.opts.Header.Clone(),
	}).WithContext(ctx)
	for key, value := range req.Metadata.All() {
		if key == micro.MetaCorrelationID {
			key = "X-Correlation-Id"
		}
		out.Header.Set(key, value)
	}
	out.Host = cmp.Or(out.Header.Get("Host"), out.Host)
	out.Header.Del("Host")
	if user := c.url.User; user != nil && out.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		out.SetBasicAuth(user.Username(), password)
	}
	if c.opts.Method != http.MethodGet && c.opts.Method != http.MethodHead {
		out.Body = io.NopCloser(bytes.NewReader(req.Data))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(req.Data)), nil }
		out.ContentLength = int64(len(req.Data))
		if out.Header.Get("Content-Type") == "" {
			out.Header.Set("Content-Type", "application/json")
		}
	}
	return out
}

// failure maps what a round trip ended with to the runtime's errors.
func (c *Conn) failure(ctx context.Context, err error) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	var dial *net.OpError
	switch {
	case closed:
		return micro.ErrClosed
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return micro.ErrTimeout
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	var unverified *tls.CertificateVerificationError
	if errors.As(err, &unverified) {
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	return fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
}

// mostDetail bounds what is kept of an error's body that is no JSON.
const mostDetail = 200

// remote is the error of a status: with the message of the body where it has
// one, as NestJS' and problem+json bodies do.
func remote(status int, body []byte) error {
	message := cmp.Or(messageOf(body), http.StatusText(status), fmt.Sprintf("status %d", status))
	payload, err := json.Marshal(map[string]any{"status": status, "message": message})
	if err != nil {
		return fmt.Errorf("read the error of status %d: %w", status, err)
	}
	return micro.RemoteError(payload)
}

// messageOf is what the body of an error says; "" is nothing.
func messageOf(body []byte) string {
	var fields struct {
		Message json.RawMessage `json:"message"`
		Detail  string          `json:"detail"`
		Title   string          `json:"title"`
	}
	if !json.Valid(body) {
		return strings.TrimSpace(strings.ToValidUTF8(string(body[:min(len(body), mostDetail)]), ""))
	}
	if json.Unmarshal(body, &fields) != nil {
		return "" // JSON of another form
	}
	var text string
	var list []string
	switch { // NestJS' validation says several things
	case json.Unmarshal(fields.Message, &text) == nil && text != "":
		return text
	case json.Unmarshal(fields.Message, &list) == nil && len(list) > 0:
		return strings.Join(list, "; ")
	}
	return cmp.Or(fields.Detail, fields.Title)
}

// Publish is not for HTTP, which has no events.
func (c *Conn) Publish(context.Context, *micro.Request) error {
	return errors.New("an http target takes requests, not events")
}

// Close ends all connections; requests in flight fail with micro.ErrClosed.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	open := slices.Collect(maps.Keys(c.open))
	c.mu.Unlock()
	for _, conn := range open {
		_ = conn.Close() // whoever uses it is told by its reads
	}
	c.transport.CloseIdleConnections()
	return nil
}
