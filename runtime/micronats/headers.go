package micronats

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/micro"
)

// A broker answers a request that has no subscriber with an empty message and this status.
const (
	statusHeader = "Status"
	noResponders = "503"
)

// header returns the headers of req. rest has the pairs that a header would change; they
// belong into the packet's metadata.
func (c *Client) header(req *micro.Request, now time.Time) (header nats.Header, rest micro.Metadata) {
	header = make(nats.Header, len(c.headers)+3)
	for k, v := range c.headers {
		header[k] = []string{v}
	}
	for k, v := range micro.SentMetadata(req, now) {
		if fitsHeader(k, v) {
			header[k] = []string{v}
		} else {
			rest.Set(k, v)
		}
	}
	return header, rest
}

// fitsHeader reports whether a header transports the pair unchanged.
func fitsHeader(key, value string) bool {
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c > '~' || strings.IndexByte(`"()/,:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return key != "" && !strings.ContainsAny(value, "\r\n") && strings.TrimSpace(value) == value
}

// received returns headers as metadata. If a header has several values, the first one counts.
func received(header nats.Header) (m micro.Metadata) {
	for k, v := range header {
		if len(v) > 0 {
			m.Set(k, v[0])
		}
	}
	return m
}
