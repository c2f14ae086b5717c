// Package web sends a load test's requests over HTTP, for example to a gateway, with
// the same engine and the same policy as messages. Its Conn is a micro.Conn whose
// requests are HTTP requests with one method and URL, and the message's data as their
// body.
//
// An HTTP client that gives up closes its connection. So late replies cannot be seen,
// nor whether the server continues to work. With HTTP/2 it only closes a stream, and late
// replies cannot be seen either.
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
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Options describe the requests. The zero Options are a GET without headers.
type Options struct {
	// Method is the HTTP method; "" means GET.
	Method string
	// Header is sent with every request.
	Header http.Header
	// TLS configures https; nil means the system's defaults.
	TLS *tls.Config
	// MaxBody bounds the body of a response, in bytes; 0 means 16 MiB.
	MaxBody int64
	// Redirects is how many redirects are followed for each request.
	Redirects int
	// HTTP2 uses HTTP/2: over TLS for https, and without an upgrade for http.
	HTTP2 bool
	// Accept reports whether a response with this status is a reply; any other is an
	// error of the service. nil accepts 200 to 299.
	Accept func(status int) bool
	// Control, if set, is that of the net.Dialer of every connection, also to the target of
	// a redirect. It may refuse an address.
	Control func(network, address string, c syscall.RawConn) error
}

// PathKey is a key of a request's metadata: its value replaces the path and the query of
// the URL.
const PathKey = ":path"

// Status is the status of a response: the Any of each micro.Value of a reply.
type Status int

// HTTPStatus returns the status.
func (s Status) HTTPStatus() int { return int(s) }

// Conn sends requests to one URL, over HTTP/1.1 unless its options say otherwise. It is
// safe for concurrent use.
//
// The client of net/http passes every request through two goroutines of its
// connection, which costs a load generator more than everything else. Here the
// goroutine of the request writes and reads the connection. The bytes on the wire are
// still encoded and parsed by net/http.
type Conn struct {
	url       *url.URL // without the path
	address   string   // host:port
	maxBody   int64
	tls       *tls.Config // nil for http
	pool      pool
	standard  *http.Transport // for HTTP/2, and for redirects
	http2     bool
	redirects int
	accept    func(int) bool
	control   func(string, string, syscall.RawConn) error // nil for none

	method string
	path   string        // with the query
	host   string        // the rest of the request's first lines
	header http.Header   // of every request
	fixed  []byte        // all of them, encoded
	about  *http.Request // for http.ReadResponse
}

const (
	defaultMaxBody = 16 << 20
	dialTimeout    = 5 * time.Second
)

// Dial returns a connection to an http or https URL. It connects at the first request.
// Connections are reused; there are as many as concurrent requests.
func Dial(address string, opts Options) (*Conn, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not an http or https URL", address)
	}
	c := &Conn{
		address: HostPort(u), maxBody: cmp.Or(opts.MaxBody, defaultMaxBody), method: cmp.Or(opts.Method, http.MethodGet),
		header: opts.Header.Clone(), http2: opts.HTTP2, redirects: opts.Redirects, accept: opts.Accept, control: opts.Control,
	}
	if c.header == nil {
		c.header = http.Header{}
	}
	if c.accept == nil {
		c.accept = func(status int) bool { return status >= http.StatusOK && status < http.StatusMultipleChoices }
	}
	if u.Scheme == "https" {
		c.tls = opts.TLS.Clone()
		if c.tls == nil {
			c.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		c.tls.ServerName = cmp.Or(c.tls.ServerName, u.Hostname())
	}
	c.standard = newTransport(c.tls, opts.HTTP2, c.control)
	if c.tls != nil {
		c.tls.NextProtos = []string{"http/1.1"}
	}
	c.about = &http.Request{Method: c.method}
	if err := c.prepare(u); err != nil {
		return nil, fmt.Errorf("prepare a request to %q: %w", address, err)
	}
	return c, nil
}

// ParseOrigin parses the scheme, the host, and the port of a URL, whose path may be a
// template.
func ParseOrigin(address string) (*url.URL, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	return url.Parse(scheme + "://" + rest[:strings.IndexAny(rest+"/", "/?#")])
}

// HostPort returns the address of an http or https URL, host:port, with the scheme's
// default port if the URL has none.
func HostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// prepare encodes the part that all requests have in common.
func (c *Conn) prepare(u *url.URL) error {
	if strings.ContainsAny(c.method, " \t\r\n") {
		return fmt.Errorf("%q is not a method", c.method)
	}
	host := cmp.Or(c.header.Get("Host"), u.Host)
	c.header.Del("Host")
	c.url = &url.URL{Scheme: u.Scheme, Host: u.Host}
	if user := u.User; user != nil && c.header.Get("Authorization") == "" {
		password, _ := user.Password()
		basic := http.Request{Header: c.header}
		basic.SetBasicAuth(user.Username(), password)
	}
	if c.hasBody() && c.header.Get("Content-Type") == "" {
		c.header.Set("Content-Type", "application/json")
	}
	if c.header.Get("User-Agent") == "" {
		c.header.Set("User-Agent", "msctl")
	}
	c.path, c.host = u.RequestURI(), host
	text := bytes.NewBufferString(c.lines(c.path))
	err := c.header.Write(text)
	c.fixed = text.Bytes()
	return err
}

func (c *Conn) hasBody() bool { return c.method != http.MethodGet && c.method != http.MethodHead }

// lines returns the first two lines of a request.
func (c *Conn) lines(path string) string {
	return c.method + " " + path + " HTTP/1.1\r\nHost: " + c.host + "\r\n"
}

// Exchange sends one HTTP request. If its status is accepted, the body is the reply;
// otherwise, the reply is an error of the service with that status.
func (c *Conn) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	res, release, err := c.send(ctx, req)
	defer release()
	if err == nil && res.location != "" && c.redirects > 0 {
		res, err = c.follow(ctx, req, res)
	}
	switch {
	case err != nil:
		return c.failure(ctx, err)
	case !c.accept(res.status):
		return remote(res)
	case int64(len(res.body)) > c.maxBody:
		return fmt.Errorf("%w: the response has more than %d bytes", micro.ErrConnectionLost, c.maxBody)
	}
	return reply.Send(micro.Value{Raw: res.body, Any: Status(res.status), Last: true})
}

// response is what is kept of a response.
type response struct {
	status   int
	location string // of a redirect; "" for others
	body     []byte
}

// send sends a request, without following redirects. The response is valid until release
// is called.
func (c *Conn) send(ctx context.Context, req *micro.Request) (res response, release func(), err error) {
	if c.http2 {
		res, err := c.sendStandard(ctx, req)
		return res, func() {}, err
	}
	l, err := c.pool.take(ctx, c, req.Deadline)
	if err != nil {
		return response{}, func() {}, err
	}
	_ = l.conn.SetDeadline(req.Deadline) // fails on a closed connection, as its next use does
	undo := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	res, reusable, err := c.roundTrip(l, req)
	if !undo() { // the function above is running and may set the deadline at any time
		reusable = false
	}
	return res, func() { c.pool.put(l, reusable) }, err // not before: its buffer holds the body
}

// roundTrip writes a request and reads the response. The body is valid until the link
// is returned to the pool.
func (c *Conn) roundTrip(l *link, req *micro.Request) (got response, reusable bool, err error) {
	l.out = c.appendRequest(l.out[:0], req)
	if _, err := l.conn.Write(l.out); err != nil {
		got, early := c.early(l, req, err)
		if !early {
			return got, false, err
		}
		return got, false, nil
	}
	if req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(time.Now(), req.Data)
	}
	return c.read(l)
}

// lastReads limits how long a response is awaited after writing the request has failed. A
// connection that the server has closed ends at once.
const lastReads = time.Second

// early reads the response that a server has sent before it closed the connection without
// reading the whole request, such as one with the status 413. failure is why writing failed.
func (c *Conn) early(l *link, req *micro.Request, failure error) (got response, ok bool) {
	if errors.Is(failure, os.ErrDeadlineExceeded) {
		return got, false
	}
	until := time.Now().Add(lastReads)
	if !req.Deadline.IsZero() && req.Deadline.Before(until) {
		until = req.Deadline
	}
	_ = l.conn.SetDeadline(until) // fails on a closed connection, as reading does
	got, _, err := c.read(l)
	return got, err == nil
}

// read reads a response.
func (c *Conn) read(l *link) (got response, reusable bool, err error) {
	if _, err := l.in.Peek(1); err != nil { // distinguishes no response from an incomplete one
		return got, false, err
	}
	var res *http.Response
	for res == nil || res.StatusCode < http.StatusOK { // skip 100 Continue and other informational responses
		if res, err = http.ReadResponse(l.in, c.about); err != nil {
			return got, false, err
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			return got, false, errors.New("the server switched to another protocol")
		}
	}
	defer res.Body.Close()
	l.body.Reset()
	if _, err := l.body.ReadFrom(io.LimitReader(res.Body, c.maxBody+1)); err != nil {
		return got, false, err
	}
	reusable = !res.Close && int64(l.body.Len()) <= c.maxBody && l.in.Buffered() == 0
	return response{res.StatusCode, locationOf(res), l.body.Bytes()}, reusable, nil
}

// appendRequest appends the encoded request. Metadata becomes headers.
func (c *Conn) appendRequest(dst []byte, req *micro.Request) []byte {
	header := http.Header(nil)
	id, path := "", c.path
	if one := req.CorrelationID(); c.header.Get(correlationHeader) == "" && plain(one) {
		id = one
	}
	for key, value := range req.Metadata.All() {
		if key == PathKey {
			path = value
			continue
		}
		if key == micro.MetaCorrelationID && value == id {
			continue
		}
		if header == nil {
			header = c.header.Clone()
		}
		if key == micro.MetaCorrelationID {
			key = correlationHeader
		}
		header.Set(key, value)
	}
	if header == nil && path == c.path {
		dst = append(dst, c.fixed...)
	} else {
		if header == nil {
			header = c.header
		}
		text := bytes.NewBuffer(append(dst, c.lines(path)...))
		_ = header.Write(text) // never fails
		dst = text.Bytes()
	}
	if id != "" {
		dst = append(append(append(dst, correlationHeader+": "...), id...), "\r\n"...)
	}
	if !c.hasBody() {
		return append(dst, "\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = append(strconv.AppendInt(dst, int64(len(req.Data)), 10), "\r\n\r\n"...)
	return append(dst, req.Data...)
}

const correlationHeader = "X-Correlation-Id"

// plain reports whether a header value needs no encoding.
func plain(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] >= 0x7f {
			return false
		}
	}
	return true
}

// failure maps the error of a round trip to the runtime's errors.
func (c *Conn) failure(ctx context.Context, err error) error {
	var dial *net.OpError
	var unverified *tls.CertificateVerificationError
	switch {
	case c.pool.isClosed():
		return micro.ErrClosed
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.Cause(ctx)
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, errDialTimeout):
		return micro.ErrTimeout
	case errors.As(err, &dial) && dial.Op == "dial", errors.As(err, &unverified), errors.Is(err, errDialTimeout):
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	return fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
}

// maxDetail bounds the text that is kept of an error's body that is not JSON.
const maxDetail = 200

// remote returns the error for a response, with the message of the body if it has one,
// as the bodies of NestJS and problem+json do.
func remote(res response) error {
	message := cmp.Or(messageOf(res.body), http.StatusText(res.status), fmt.Sprintf("status %d", res.status))
	if res.location != "" {
		message = "redirect to " + res.location
	}
	payload, err := json.Marshal(map[string]any{"status": res.status, "message": message})
	if err != nil {
		return fmt.Errorf("encode the error of status %d: %w", res.status, err)
	}
	return micro.RemoteError(payload)
}

// messageOf returns the message in the body of an error, or "".
func messageOf(body []byte) string {
	var fields struct {
		Message json.RawMessage `json:"message"`
		Detail  string          `json:"detail"`
		Title   string          `json:"title"`
	}
	if !json.Valid(body) {
		return strings.TrimSpace(strings.ToValidUTF8(string(body[:min(len(body), maxDetail)]), ""))
	}
	if json.Unmarshal(body, &fields) != nil {
		return "" // JSON of another form
	}
	var text string
	var list []string
	switch { // NestJS's validation returns several messages
	case json.Unmarshal(fields.Message, &text) == nil && text != "":
		return text
	case json.Unmarshal(fields.Message, &list) == nil && len(list) > 0:
		return strings.Join(list, "; ")
	}
	return cmp.Or(fields.Detail, fields.Title)
}

// Publish returns an error: HTTP has no events.
func (c *Conn) Publish(context.Context, *micro.Request) error {
	return errors.New("an HTTP target takes requests, not events")
}

// Close closes all connections. Requests in flight fail with micro.ErrClosed.
func (c *Conn) Close() error {
	c.pool.close()
	c.standard.CloseIdleConnections()
	return nil
}
