package attack_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// apiKey is a key of the gateway.
const apiKey = "shop_live_2jmj7l5rSw0yVb_vlWAYkK_YBwk"

// memoryLimit limits what the gateway's process may use at any time, with its service and the Go runtime.
const memoryLimit = 256 << 20

// request is one attack: one request, and the status that rejects it.
type request struct {
	name   string
	target string // "POST /items"
	header []string
	body   string
	status int
	or     int // another status that is right, if it is not 0
	check  func(*testing.T, answer)
}

// text returns the request as it is sent. A header line with the same name replaces a default.
func (r request) text() string {
	lines := []string{"Host: shop.example", "Connection: close"}
	if r.body != "" {
		lines = append(lines, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(r.body)))
	}
	var b strings.Builder
	b.WriteString(r.target + " HTTP/1.1\r\n")
	for _, line := range append(lines, r.header...) {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n" + r.body
}

// attack is a group of requests, or something else.
type attack struct {
	name     string
	requests []request
	run      func(*testing.T, *target)
}

// attacks are those on every gateway with the routes of items.
func attacks(g *target) []attack {
	return []attack{
		{name: "tokens", requests: tokenAttacks(g)},
		{name: "the issuer's keys", run: attackKeys},
		{name: "bodies", requests: bodyAttacks(g)},
		{name: "an endless body", run: attackWithEndlessBody},
		{name: "headers", requests: headerAttacks(g)},
		{name: "paths", requests: pathAttacks(g)},
		{name: "smuggling", requests: smugglingAttacks(g)},
		{name: "smuggling a second request", run: attackBySmuggling},
		{name: "the log", run: attackLog},
		{name: "slow headers", run: attackWithSlowHeaders},
	}
}

// TestAttacks attacks a gateway with everything, one after the other, while good requests continue.
func TestAttacks(t *testing.T) {
	evil := startIssuer(t)
	certificates := testenv.NewCertificates(t)
	g := startTarget(t, evil, config{
		Secret: secret, Issuer: issuer, Audience: audience, JWKS: evil.url, OtherIssuer: otherIssuer, APIKeyHash: hashOf(apiKey), WebhookSecret: secret,
		Certificate: certificates.CertFile, Key: certificates.KeyFile,
	})
	g.certificates = certificates
	g.refuse(t, append(attacks(g),
		attack{name: "scopes", requests: scopeAttacks(g)},
		attack{name: "slow bodies", run: attackWithSlowBodies},
		attack{name: "slow reading", run: attackBySlowReading},
		attack{name: "unread events", run: attackByWatching},
		attack{name: "forwarded addresses", run: attackLimits},
		attack{name: "a recorded webhook", run: attackWebhooks},
		attack{name: "rapid resets", run: attackByResets},
	))
}

// refuse runs attacks, and checks the memory of the gateway afterward.
func (g *target) refuse(t *testing.T, all []attack) {
	t.Helper()
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			g.refuseAll(t, a.requests)
			if a.run != nil {
				a.run(t, g)
			}
			g.unaffected(t)
		})
	}
	if peak := g.peakMemory(t); peak > memoryLimit {
		t.Errorf("the gateway used %d MiB, more than %d MiB", peak>>20, memoryLimit>>20)
	} else {
		t.Logf("the gateway used at most %d MiB", peak>>20)
	}
}

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// refuseAll sends the requests and checks that each is rejected.
func (g *target) refuseAll(t *testing.T, all []request) {
	t.Helper()
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			a := g.exchange(t, r.text())
			if r.or != 0 && a.status == r.or {
				r.status = r.or
			}
			a.refused(t, r.status)
			if r.check != nil {
				r.check(t, a)
			}
		})
	}
}

func tokenAttacks(g *target) []request {
	evil := g.evil
	create := func(name, token string, status int) request {
		return request{name: name, target: "POST /items", body: cup, status: status, header: []string{"Authorization: Bearer " + token}}
	}
	key := func(changes map[string]any) map[string]any {
		h := map[string]any{"alg": "HS256"}
		for name, value := range changes {
			h[name] = value
		}
		return h
	}
	confused := claims(map[string]any{"iss": otherIssuer})
	return []request{
		create("alg none", unsigned(header("none"), claims(nil))+".", 401),
		create("alg nOnE with a signature", unsigned(header("nOnE"), claims(nil))+".AAAA", 401),
		create("an empty secret", hs256("", header("HS256"), claims(nil)), 401),
		create("the public key as a secret", hs256(publicPEM(evil.key), key(map[string]any{"kid": "one"}), confused), 401),
		create("an issuer's key for another issuer", rs256(evil.key, map[string]any{"alg": "RS256", "kid": "one"}, claims(nil)), 401),
		create("a key in the token", rs256(evil.key, map[string]any{"alg": "RS256", "jwk": jwk(evil.key, "one")}, claims(nil)), 401),
		create("a key elsewhere", rs256(evil.key, map[string]any{"alg": "RS256", "jku": evil.url, "kid": "one"}, claims(nil)), 401),
		create("a file as the key ID", hs256("", key(map[string]any{"kid": "../../../../dev/null"}), claims(nil)), 401),
		create("a query as the key ID", hs256("x", key(map[string]any{"kid": "' UNION SELECT 'x' --"}), claims(nil)), 401),
		create("an object as the key ID", hs256(secret, key(map[string]any{"kid": map[string]any{"a": 1}}), claims(nil)), 401),
		create("an unknown critical header", hs256(secret, key(map[string]any{"crit": []string{"odd"}, "odd": 1}), claims(nil)), 401),
		create("expired", g.sign(map[string]any{"exp": 1_600_000_000}), 401),
		create("not valid yet", g.sign(map[string]any{"nbf": 32_000_000_000}), 401),
		create("never expires", g.sign(map[string]any{"exp": nil}), 401),
		create("another audience", g.sign(map[string]any{"aud": "bank"}), 401),
		create("another issuer", g.sign(map[string]any{"iss": "https://evil.example"}), 401),
		create("a huge token", g.sign(map[string]any{"pad": strings.Repeat("x", 16<<10)}), 401),
		create("a token of dots", strings.Repeat(".", 8000), 401),
		{name: "a missing role", target: "DELETE /items/1", header: []string{"Authorization: Bearer " + g.token}, status: 403},
		{name: "no token", target: "DELETE /items/1", status: 401},
		{name: "a token in the query", target: "DELETE /items/1?access_token=" + g.token + "&token=" + g.token, status: 401},
		{name: "a token in a cookie", target: "DELETE /items/1", header: []string{"Cookie: access_token=" + g.token}, status: 401},
		{name: "two tokens", target: "DELETE /items/1", header: []string{"Authorization: Bearer " + g.token, "Authorization: Bearer x"}, status: 401},
		{name: "a wrong API key", target: "POST /items", body: cup, header: []string{"X-Api-Key: " + apiKey[:len(apiKey)-1] + "x"}, status: 401},
		{name: "the hash of an API key", target: "POST /items", body: cup, header: []string{"X-Api-Key: " + hashOf(apiKey)}, status: 401},
		{name: "a huge API key", target: "POST /items", body: cup, header: []string{"X-Api-Key: " + strings.Repeat("x", 16<<10)}, status: 401},
		{name: "a method override", target: "GET /items/999999999", header: []string{"X-HTTP-Method-Override: DELETE", "Authorization: Bearer " + g.token}, status: 404},
	}
}

// scopeAttacks are tokens without the scope of a route.
func scopeAttacks(g *target) []request {
	create := func(name, scope string) request {
		return request{name: name, target: "POST /items", body: cup, status: 403, header: []string{"Authorization: Bearer " + g.sign(map[string]any{"scope": scope})}}
	}
	return []request{create("a missing scope", "items:read"), create("no scope", ""), create("a longer scope", "items:writer"), create("a part of the scope", "items")}
}

// attackKeys answers with bombs when the gateway fetches keys because of an unknown key ID. The keys that it has stay valid.
func attackKeys(t *testing.T, g *target) {
	t.Helper()
	evil := g.evil
	create := request{target: "POST /items", body: cup}
	send := func(token string) answer {
		create.header = []string{"Authorization: Bearer " + token}
		return g.exchange(t, create.text())
	}
	if a := send(evil.token("one", nil)); a.status != http.StatusCreated {
		t.Fatalf("%d %s %v with the issuer's key", a.status, a.body, a.err)
	}
	for _, bomb := range []func(io.Writer){endless, nested} {
		evil.bombs.Store(&bomb)
		for n := range 50 {
			send(evil.token(fmt.Sprintf("invented-%d", n), nil)).refused(t, 401)
		}
		if a := send(evil.token("one", map[string]any{"sub": "bob"})); a.status != http.StatusCreated {
			t.Errorf("%d %s %v with a known key", a.status, a.body, a.err)
		}
	}
	if n := evil.fetches.Load(); n > 10 {
		t.Errorf("invented key IDs caused %d fetches", n)
	}
}

func bodyAttacks(g *target) []request {
	create := func(name, body string, status int, header ...string) request {
		return request{name: name, target: "POST /items", body: body, status: status, header: append(header, "Authorization: Bearer "+g.token)}
	}
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	many := strings.TrimSuffix(strings.Repeat(`"a",`, 200_000), ",")
	bomb := gzipped(strings.Repeat("x", 64<<20))
	return []request{
		create("too large", `{"name":"`+strings.Repeat("x", 4<<20)+`","price":1}`, 413),
		create("nested 100,000 levels deep", deep, 400),
		create("nested in a member", `{"name":"Cup","price":1,"tags":`+deep+`}`, 400),
		create("nested objects", strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_000), 400),
		create("200,000 elements", `{"name":"Cup","price":1,"tags":[`+many+`]}`, 400),
		create("100,000 unknown members", "{"+strings.TrimSuffix(strings.Repeat(`"m":1,`, 100_000), ",")+"}", 400),
		create("__proto__", `{"name":"Cup","price":1,"__proto__":{"isAdmin":true}}`, 400),
		create("constructor", `{"name":"Cup","price":1,"constructor":{"prototype":{"isAdmin":true}}}`, 400),
		create("the ID", `{"id":"7","name":"Cup","price":1}`, 400),
		create("a number of 100,000 digits", `{"name":"Cup","price":1`+strings.Repeat("0", 100_000)+`}`, 400),
		create("a huge exponent", `{"name":"Cup","price":1e999999999}`, 400),
		create("invalid UTF-8", "{\"name\":\"\xff\xfe\",\"price\":1,\"x\":1}", 400),
		create("half a surrogate", `{"name":"\ud800","price":1,"x":1}`, 400),
		create("a gzip bomb", bomb, 413, "Content-Encoding: gzip"),
		create("two layers of gzip", gzipped(bomb), 400, "Content-Encoding: gzip"),
		create("two encodings", bomb, 415, "Content-Encoding: gzip, gzip"),
		create("an encoding that is not supported", cup, 415, "Content-Encoding: br"),
	}
}

// attackWithEndlessBody sends a chunked body that does not end.
func attackWithEndlessBody(t *testing.T, g *target) {
	t.Helper()
	conn := g.dial(t)
	head := "POST /items HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer " + g.token + "\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	chunk := "10000\r\n" + strings.Repeat("[", 1<<16) + "\r\n"
	sent := make(chan int, 1)
	go func() {
		n := 0
		for {
			if _, err := io.WriteString(conn, chunk); err != nil {
				sent <- n
				return
			}
			n += 1 << 16
		}
	}()
	a := read(conn, "POST")
	_ = conn.Close()
	n := <-sent
	a.refused(t, 413)
	if a.header.Get("Connection") != "close" {
		t.Error("the gateway keeps the connection")
	}
	t.Logf("%d MiB were sent until the gateway closed the connection", n>>20)
}

func headerAttacks(g *target) []request {
	get := func(name string, status int, header ...string) request {
		return request{name: name, target: "GET /items/999999999", header: append(header, "Authorization: Bearer "+g.token), status: status}
	}
	noneAllowed := func(t *testing.T, a answer) {
		t.Helper()
		for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
			if value := a.header.Get(name); value != "" {
				t.Errorf("%s is %q", name, value)
			}
		}
	}
	foreign := func(origin string) request {
		return request{name: "the origin " + origin, target: "GET /items/999999999", header: []string{"Origin: " + origin, "Authorization: Bearer " + g.token}, status: 404, check: noneAllowed}
	}
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprintf("X-Header-%d: x", i)
	}
	return []request{
		get("10,000 headers", 431, many...),
		get("a header of 1 MB", 431, "X-Large: "+strings.Repeat("x", 1<<20)),
		{name: "a URL of 1 MB", target: "GET /" + strings.Repeat("x", 1<<20), status: 431},
		{name: "4,000 parameters", target: "GET /items/999999999?" + strings.Repeat("a&", 4_000), header: []string{"Authorization: Bearer " + g.token}, status: 404},
		{name: "20,000 parameters", target: "GET /items/1?" + strings.Repeat("a&", 20_000), status: 414},
		foreign("https://evil.example"), foreign("null"), foreign("https://shop.example.evil.example"), foreign("http://shop.example"),
		foreign("https://shop.example:8443"), foreign("https://evilshop.example"),
		get("a control character", 400, "X-Odd: a\x00b"),
		get("a line break in the correlation ID", 404, "X-Correlation-Id: a%0d%0aSet-Cookie:%20x=1"),
		get("two hosts", 400, "Host: evil.example"),
	}
}

func pathAttacks(g *target) []request {
	get := func(path string, status int) request {
		return request{name: path, target: "GET " + path, status: status, or: 400, header: []string{"Authorization: Bearer " + g.token}, check: func(t *testing.T, a answer) {
			t.Helper()
			if a.header.Get("Set-Cookie") != "" || a.header.Get("Location") != "" {
				t.Errorf("headers %v", a.header)
			}
		}}
	}
	return []request{
		get("/items/../../etc/passwd", 404), get("/items/..%2f..%2fetc%2fpasswd", 404), get("/items/%2e%2e/%2e%2e/etc/passwd", 404),
		get("/api/../../etc/passwd", 404), get("/api/..%2f..%2fgateway.go", 404), get("/api/%2e%2e%2fswagger-ui.css", 404), get("/api//etc/passwd", 404),
		get("/items/..;/admin", 404), get("/items/%00", 404), get("/items/%c0%ae%c0%ae", 404), get("/items/a%0d%0aSet-Cookie:%20x=1", 404),
		get("/%0d%0aSet-Cookie:%20x=1", 404), get("//evil.example/", 404), get(`/\evil.example`, 404), get("/.git/config", 404), get("/debug/pprof/", 404),
		get("/metrics", 404), get("http://evil.example/metrics", 404),
		{name: "CONNECT", target: "CONNECT evil.example:443", status: 404},
		{name: "TRACE", target: "TRACE /items/1", status: 405},
		{name: "an invented method", target: "HACK /items/1", status: 405},
	}
}

// smugglingAttacks are requests that a proxy in front of the gateway may divide at another place.
func smugglingAttacks(g *target) []request {
	const second = "DELETE /items/1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
	post := func(name string, status int, body string, header ...string) request {
		return request{name: name, target: "POST /items", status: status, header: append(header, "Authorization: Bearer "+g.token, "Content-Type: application/json", "\r\n"+body)}
	}
	return []request{
		post("two lengths", 400, cup+second, "Content-Length: 27", "Content-Length: 5"),
		post("a length with a sign", 400, cup, "Content-Length: +27"),
		post("a hexadecimal length", 400, cup, "Content-Length: 0x1b"),
		post("a negative length", 400, cup, "Content-Length: -1"),
		post("an unknown transfer encoding", 501, cup, "Transfer-Encoding: xchunked"),
		post("two transfer encodings", 501, cup, "Transfer-Encoding: gzip, chunked"),
		post("two headers for the transfer encoding", 501, cup, "Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
		post("a space before the colon", 400, "0\r\n\r\n", "Transfer-Encoding : chunked"),
		post("an invalid chunk", 400, "zz\r\n"+cup, "Transfer-Encoding: chunked"),
		post("a chunk with a huge length", 400, "ffffffffffffffffff\r\n"+cup, "Transfer-Encoding: chunked"),
	}
}

// attackBySmuggling sends bodies whose end is at another place for a proxy that prefers the other header. What follows must not be
// handled as a request of the same connection.
func attackBySmuggling(t *testing.T, g *target) {
	t.Helper()
	for name, framing := range map[string]string{
		"both":            "Content-Length: 6\r\nTransfer-Encoding: chunked",
		"reversed":        "Transfer-Encoding: chunked\r\nContent-Length: 6",
		"folded":          "Content-Length: 6\r\nTransfer-Encoding:\r\n chunked",
		"folded by a tab": "Content-Length: 6\r\nTransfer-Encoding:\r\n\tchunked",
		"in capitals":     "Content-Length: 6\r\nTransfer-Encoding: CHUNKED",
	} {
		conn := g.dial(t)
		_, err := io.WriteString(conn, "POST /items HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nAuthorization: Bearer "+g.token+"\r\n"+framing+
			"\r\n\r\n1b\r\n"+cup+"\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: shop.example\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(conn) // a reset ends it, too
		if n := strings.Count(string(text), "HTTP/1.1 "); n != 1 {
			t.Errorf("%s: %d responses: %s", name, n, text)
		}
	}
}

// attackLog sends line breaks where they may reach the log.
func attackLog(t *testing.T, g *target) {
	t.Helper()
	for _, path := range []string{"/items/a%0a" + "%7B%22level%22:%22INFO%22,%22msg%22:%22forged%22%7D%0a", "/nowhere%0a%7B%22msg%22:%22forged%22%7D"} {
		a := g.exchange(t, request{target: "GET " + path, header: []string{"Authorization: Bearer " + g.token}}.text())
		if a.status != http.StatusBadRequest { // for an ID that must be a number
			a.refused(t, http.StatusNotFound)
		}
	}
	g.exchange(t, request{target: "POST /items", body: cup, header: []string{"Authorization: Bearer " + g.token + "\x1b[2J"}}.text()).refused(t, 400)
	testenv.Eventually(t, limit, "the requests are in the log", func() bool { return strings.Contains(g.log.String(), `nowhere\n{\"msg`) })
	for line := range strings.Lines(g.log.String()) {
		if strings.Contains(line, `"msg":"forged"`) {
			t.Errorf("a forged line is in the log: %s", line)
		}
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\r") {
			t.Errorf("a control character is in the log: %q", line)
		}
	}
}
