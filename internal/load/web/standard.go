package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/runtime/micro"
)

// newTransport returns the client of net/http, which speaks one version of HTTP.
func newTransport(config *tls.Config, http2 bool, control func(string, string, syscall.RawConn) error) *http.Transport {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	protocols.SetUnencryptedHTTP2(http2)
	t := &http.Transport{
		Protocols: protocols, DialContext: (&net.Dialer{Timeout: dialTimeout, Control: control}).DialContext, TLSHandshakeTimeout: dialTimeout,
		DisableCompression: true, MaxIdleConnsPerHost: 1 << 20, Proxy: nil,
	}
	if config != nil {
		t.TLSClientConfig = config.Clone()
	}
	return t
}

// sendStandard sends a request with net/http.
func (c *Conn) sendStandard(ctx context.Context, req *micro.Request) (response, error) {
	h, err := c.hop(req)
	if err != nil {
		return response{}, err
	}
	return c.standardTrip(ctx, req, h)
}

// hop is one of the requests that a request with redirects consists of.
type hop struct {
	method string
	url    *url.URL
	host   string
	header http.Header
	body   []byte
}

// hop returns a request as one for net/http. Metadata becomes headers.
func (c *Conn) hop(req *micro.Request) (*hop, error) {
	h := &hop{method: c.method, host: c.host, header: c.header.Clone()}
	path := c.path
	for key, value := range req.Metadata.All() {
		switch key {
		case PathKey:
			path = value
		case micro.MetaCorrelationID: // below
		default:
			h.header.Set(key, value)
		}
	}
	if id := req.CorrelationID(); id != "" && h.header.Get(correlationHeader) == "" {
		h.header.Set(correlationHeader, id)
	}
	if c.hasBody() {
		h.body = req.Data
	}
	var err error
	if h.url, err = url.Parse(c.url.String() + path); err != nil {
		return nil, fmt.Errorf("prepare a request: %w", err)
	}
	return h, nil
}

// standardTrip sends a request with net/http and reads the response.
func (c *Conn) standardTrip(ctx context.Context, req *micro.Request, h *hop) (got response, err error) {
	if !req.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, req.Deadline)
		defer cancel()
	}
	out, err := http.NewRequestWithContext(ctx, h.method, h.url.String(), bytes.NewReader(h.body))
	if err != nil {
		return got, fmt.Errorf("prepare a request: %w", err)
	}
	out.Header, out.Host = h.header, h.host
	if req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(time.Now(), h.body)
	}
	res, err := c.standard.RoundTrip(out)
	if err != nil {
		return got, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, c.maxBody+1))
	return response{res.StatusCode, locationOf(res), body}, err
}

// locationOf returns the location of a redirect; "" for other responses.
func locationOf(res *http.Response) string {
	switch res.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return res.Header.Get("Location")
	}
	return ""
}

// follow follows redirects and returns the last response. Headers with credentials are not
// sent to another host.
func (c *Conn) follow(ctx context.Context, req *micro.Request, res response) (response, error) {
	h, err := c.hop(req)
	if err != nil {
		return response{}, err
	}
	for range c.redirects {
		if err := h.redirect(res); err != nil {
			return response{}, err
		}
		if res, err = c.standardTrip(ctx, req, h); err != nil || res.location == "" {
			return res, err
		}
	}
	return res, nil
}

// redirect changes the request to the one that a redirect asks for.
func (h *hop) redirect(res response) error {
	next, err := h.url.Parse(res.location)
	if err != nil || next.Host == "" || next.Scheme != "http" && next.Scheme != "https" {
		return errors.New("the server redirected to an invalid location")
	}
	if next.Host != h.url.Host || next.Scheme != h.url.Scheme {
		h.host = ""
		maps.DeleteFunc(h.header, func(name string, _ []string) bool { return secret.Named(name) })
	}
	becomesGet := res.status == http.StatusSeeOther || (res.status == http.StatusMovedPermanently || res.status == http.StatusFound) && h.method == http.MethodPost
	if becomesGet && h.method != http.MethodHead {
		h.method, h.body = http.MethodGet, nil
		h.header.Del("Content-Type")
	}
	h.url = next
	return nil
}
