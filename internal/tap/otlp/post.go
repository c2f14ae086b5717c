package otlp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxResponse limits how much of a response is read, in bytes.
const maxResponse = 64 << 10

// failure is a request that did not succeed.
type failure struct {
	text      string
	temporary bool
	after     time.Duration // that the collector asks for
}

func (f *failure) Error() string { return f.text }

// post sends spans, and returns how many of them the collector rejected. Its errors contain nothing that the collector
// has sent but the status, and no credentials.
func (x *Exporter) post(body []byte) (rejected int, err error) {
	ctx, cancel := context.WithTimeout(x.ctx, x.limits.attempt)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.at.url.String(), bytes.NewReader(body))
	if err != nil {
		return 0, &failure{text: "the URL cannot be requested"}
	}
	req.Header = x.at.header.Clone()
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "msctl/"+x.version)
	res, err := x.client.Do(req)
	if err != nil {
		return 0, unreachable(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxResponse))
	switch {
	case res.StatusCode < 200 || res.StatusCode > 299:
		return 0, refused(res)
	case err != nil:
		return 0, unreachable(err)
	}
	var reply collector.ExportTraceServiceResponse
	if proto.Unmarshal(text, &reply) != nil { // some collectors reply with JSON
		return 0, nil
	}
	return int(max(0, reply.GetPartialSuccess().GetRejectedSpans())), nil
}

// refused returns the error for a status that is not a success.
func refused(res *http.Response) error {
	f := &failure{text: "status " + strconv.Itoa(res.StatusCode)}
	if name := http.StatusText(res.StatusCode); name != "" {
		f.text += " " + name
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.temporary = true
		if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
			f.after = time.Duration(min(seconds, 3600)) * time.Second
		}
	case http.StatusUnauthorized, http.StatusForbidden:
		f.text += ": OTEL_EXPORTER_OTLP_HEADERS sets the headers with credentials"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		f.text += ": is it the address of a collector for OTLP over HTTP (usually port 4318)?"
	}
	return f
}

// unreachable returns the error for a request without a response: without the URL, which may contain credentials.
func unreachable(err error) error {
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) && wrapped.Unwrap() != nil {
		err = wrapped.Unwrap()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{text: "no response in time", temporary: true}
	}
	return &failure{text: err.Error(), temporary: true}
}
