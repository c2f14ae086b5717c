package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// What the tokens for a gateway contain.
const (
	tokenIssuer   = "https://login.example"
	tokenAudience = "shop"
)

var tokenSecret = strings.Repeat("peerbench", 4)

// newToken returns a token for the caller with a number.
func newToken(caller int) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(fmt.Appendf(nil, `{"sub":"caller-%06d","iss":%q,"aud":%q,"roles":["user"],"iat":%d,"exp":%d}`,
		caller, tokenIssuer, tokenAudience, time.Now().Unix(), time.Now().Add(24*time.Hour).Unix()))
	mac := hmac.New(sha256.New, []byte(tokenSecret))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// tokens are used in turn by all connections. It is safe for concurrent use.
type tokens struct {
	list []string
	turn atomic.Uint64
}

func newTokens(n int) *tokens {
	t := &tokens{list: make([]string, n)}
	for i := range t.list {
		t.list[i] = newToken(i)
	}
	return t
}

func (t *tokens) next() string { return t.list[t.turn.Add(1)%uint64(len(t.list))] }

// httpWire sends POST /orders to a gateway, and requires the item of the body back.
type httpWire struct {
	plainConn
	parts  [3][]byte // of the request, around the token and the ID
	tokens *tokens
}

func newHTTPWire(e exchange) *httpWire {
	w := &httpWire{tokens: e.tokens}
	at := bytes.Index(e.data, zeros())
	w.parts[0] = []byte("POST /orders HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nAuthorization: Bearer ")
	w.parts[1] = append(fmt.Appendf(nil, "\r\nContent-Length: %d\r\n\r\n", len(e.data)), e.data[:at]...)
	w.parts[2] = e.data[at+idDigits:]
	return w
}

func (w *httpWire) open(ctx context.Context, addr string) (net.Conn, error) {
	err := w.dial(ctx, addr)
	return w.conn, err
}

func (w *httpWire) request(dst, id []byte) []byte {
	dst = append(append(dst, w.parts[0]...), w.tokens.next()...)
	return append(append(append(dst, w.parts[1]...), id...), w.parts[2]...)
}

func (w *httpWire) next(buf []byte) (body, id, rest []byte, whole bool, err error) {
	const created, length = "HTTP/1.1 201 ", "\r\nContent-Length: "
	head, after, whole := bytes.Cut(buf, []byte("\r\n\r\n"))
	if !whole {
		return nil, nil, buf, false, nil
	}
	_, value, found := bytes.Cut(head, []byte(length))
	value, _, _ = bytes.Cut(value, []byte("\r\n"))
	n, err := strconv.Atoi(string(value))
	if !bytes.HasPrefix(head, []byte(created)) || !found || err != nil || n < 0 {
		return nil, nil, nil, false, fmt.Errorf("the response %q", shorten(buf))
	}
	if len(after) < n {
		return nil, nil, buf, false, nil
	}
	return after[:n], nil, after[n:], true, nil
}
