package gateway

import (
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// WithCompression compresses responses of at least minBytes, by gzip or deflate, for clients that
// accept it; 0 is 1 KiB. Text and JSON are compressed, streams are not. Without the option, as in
// NestJS, nothing is: usually a proxy does it. Do not use it for responses that contain both a
// secret and a text that a request chooses: their length reveals whether the two are alike, from
// which an attacker can derive the secret (BREACH).
func WithCompression(minBytes int) Option {
	return gatewayOption(func(g *Gateway) { g.compression = cmp.Or(minBytes, 1<<10) })
}

// compressed compresses the responses of next. If next panics before it has sent anything, nothing
// is sent, so that the panic can become a response.
func (g *Gateway) compressed(next http.Handler) http.Handler {
	if g.compression <= 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := &compressor{ResponseWriter: w, least: g.compression, encoding: acceptedEncoding(req.Header.Values("Accept-Encoding")), head: req.Method == http.MethodHead}
		next.ServeHTTP(c, req)
		c.close()
	})
}

// acceptedEncoding returns gzip or deflate if a client accepts it; empty for none.
func acceptedEncoding(lines []string) string {
	accepted := map[string]bool{}
	for part := range strings.SplitSeq(strings.ToLower(strings.Join(lines, ",")), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		q, given := strings.CutPrefix(strings.TrimSpace(parameters), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		accepted[strings.TrimSpace(name)] = !given || err == nil && weight > 0
	}
	for _, name := range []string{"gzip", "deflate"} {
		if ok, listed := accepted[name]; ok || !listed && accepted["*"] {
			return name
		}
	}
	return ""
}

// compressor decides at the first bytes of a response whether to compress it.
type compressor struct {
	http.ResponseWriter

	least    int
	encoding string // that the client accepts; empty for none
	head     bool
	status   int // the header waits for the decision; 0 if it does not
	decided  bool
	z        compressing // nil for a response that is not compressed
}

// compressing is a gzip.Writer or a zlib.Writer.
type compressing interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

var compressors = map[string]*sync.Pool{
	"gzip":    {New: func() any { w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return w }}, // the level is valid
	"deflate": {New: func() any { w, _ := zlib.NewWriterLevel(nil, zlib.BestSpeed); return w }},
}

// Unwrap returns the underlying writer, for http.ResponseController.
func (c *compressor) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader sends the header, or keeps it until the size is known.
func (c *compressor) WriteHeader(status int) {
	if c.decided || c.status != 0 || status < 200 {
		c.ResponseWriter.WriteHeader(status)
		return
	}
	c.status = status
	length, err := strconv.Atoi(c.Header().Get("Content-Length"))
	if err == nil || !c.compressible() {
		c.decide(length)
	}
}

// compressible reports whether a response is text that nothing else has encoded.
func (c *compressor) compressible() bool {
	h := c.Header()
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || h.Get("Content-Encoding") != "" || h.Get("Content-Range") != "" || strings.Contains(h.Get("Cache-Control"), "no-transform") {
		return false
	}
	switch kind {
	case "text/event-stream", typeNDJSON: // sent in small pieces
		return false
	case mediaJSON, "application/javascript", "application/xml", "application/yaml":
		return true
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

// decide sends the header for a body of a size, or of its first part.
func (c *compressor) decide(size int) {
	c.decided = true
	h := c.Header()
	compressible := c.compressible()
	if compressible || c.status == http.StatusNotModified {
		h.Add("Vary", "Accept-Encoding")
	}
	if compressible && c.encoding != "" && size >= c.least {
		h.Del("Content-Length")
		h.Set("Content-Encoding", c.encoding)
		if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
			h.Set("ETag", "W/"+tag) // the same content in other bytes
		}
		if c.z, _ = compressors[c.encoding].Get().(compressing); c.head {
			c.z.Reset(io.Discard)
		} else {
			c.z.Reset(c.ResponseWriter)
		}
	}
	c.ResponseWriter.WriteHeader(c.status)
}

func (c *compressor) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.WriteHeader(http.StatusOK)
	}
	if !c.decided {
		c.decide(len(b))
	}
	if c.z != nil {
		return c.z.Write(b)
	}
	return c.ResponseWriter.Write(b)
}

// FlushError sends what has been written.
func (c *compressor) FlushError() error {
	if c.status != 0 && !c.decided {
		c.decide(0)
	}
	if c.z != nil {
		if err := c.z.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Flush is FlushError for an http.Flusher.
func (c *compressor) Flush() { _ = c.FlushError() }

// close ends the response.
func (c *compressor) close() {
	if c.status != 0 && !c.decided {
		c.decide(0)
	}
	if c.z == nil {
		return
	}
	_ = c.z.Close() // fails if the client has gone
	c.z.Reset(nil)
	compressors[c.encoding].Put(c.z)
}
