package parity_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"regexp"
	"strings"
)

func packed(text string, pack func(io.Writer) io.WriteCloser) string {
	var b bytes.Buffer
	w := pack(&b)
	_, _ = io.WriteString(w, text) // into memory
	_ = w.Close()
	return b.String()
}

func gzipped(text string) string {
	return packed(text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func deflated(text string) string {
	return packed(text, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
}

// unpacked returns a body without its encoding. Brotli stays as it is.
func unpacked(encoding string, body []byte) (string, error) {
	var r io.Reader
	var err error
	switch {
	case encoding == "gzip" && len(body) > 0:
		r, err = gzip.NewReader(bytes.NewReader(body))
	case encoding == "deflate" && len(body) > 0:
		r, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return string(body), nil
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

// tagOfAll is the ETag of allItems.
const tagOfAll = `W/"67-R7biA1MimcvmgVBvIwq5JzzyUFA"`

// Reasons of several rows.
const (
	anotherType = "a body of another media type"
	notJSON     = "a body that is not JSON"
	notObject   = "a body that is not a JSON object"
	notHTTP     = "a request that is not valid HTTP"
	wrongMethod = "a method that the path does not have"
)

// bodyRows are about the form of a body.
func bodyRows() []row {
	of := func(name, kind, body string, status int) row {
		return row{name: name, target: "POST /items", header: []string{"Content-Type: " + kind}, body: body, status: status}
	}
	encoded := func(name, encoding, body string, status int) row {
		return row{name: name, target: "POST /items", header: []string{"Content-Encoding: " + encoding}, body: body, status: status}
	}
	return []row{
		of("UTF-8", "application/json; charset=utf-8", cup, 201),
		of("UTF-8 in capitals", `application/json; charset="UTF-8"`, cup, 201),
		of("ISO-8859-1", "application/json; charset=iso-8859-1", "{\"name\":\"K\xfchl\",\"price\":1}", 415),
		of("a type in capitals", "Application/JSON", cup, 201),
		of("a type of JSON", "application/vnd.api+json", cup, 400).but(anotherType, 415, "send Content-Type: application/json"),
		{name: "a type that is configured", target: "POST /profiles", header: []string{"Content-Type: application/vnd.shop+json"}, body: `{"email":"ada@shop.example"}`, status: 201},
		of("plain text", "text/plain", cup, 400).but(anotherType, 415, "send Content-Type: application/json"),
		of("a form", "application/x-www-form-urlencoded", "name=Cup&price=1", 400).but(anotherType, 415, "send Content-Type: application/json"),
		of("no media type", "", cup, 400).but(anotherType, 415, "send Content-Type: application/json"),
		encoded("gzip", "gzip", gzipped(cup), 201),
		encoded("deflate", "deflate", deflated(cup), 201),
		encoded("identity", "identity", cup, 201),
		encoded("an unknown encoding", "zstd", cup, 415),
		encoded("not gzip", "gzip", cup, 400).but("a body that cannot be decompressed", 400, "The body could not be read"),
		{name: "no body", target: "POST /items", header: []string{"Content-Type: application/json", "Content-Length: 0"}, status: 400},
		row{name: "not JSON", target: "POST /items", body: `{"name":`, status: 400}.but(notJSON, 400, "unexpected end of the JSON"),
		row{name: "a list for an object", target: "POST /items", body: `[` + cup + `]`, status: 400}.but(notObject, 400, "the data must be a JSON object"),
		row{name: "a text for an object", target: "POST /items", body: `"Cup"`, status: 400}.but(notObject, 400, "the data must be a JSON object"),
		row{name: "two values", target: "POST /items", body: cup + cup, status: 400}.but(notJSON, 400, "unexpected data after the JSON value at byte 27"),
		{name: "a byte order mark", target: "POST /items", body: "\ufeff" + cup, status: 201},
		{name: "white space around the body", target: "POST /items", body: " \n" + cup + "\r\n ", status: 201},
		{name: "a chunked body", target: "POST /items", header: []string{"Content-Length:", "Transfer-Encoding: chunked"}, body: "1b\r\n" + cup + "\r\n0\r\n\r\n", status: 201},
		{name: "a body of two megabytes", target: "POST /items", body: `{"name":"` + strings.Repeat("x", 2<<20) + `","price":1}`, status: 413},
		row{name: "nested 20,000 levels deep", target: "POST /items", body: `{"name":"Cup","price":1,"tags":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, status: 500}.but("JSON that is nested too deep", 400, "more than 200 nested levels"),
		{name: "a body with GET", target: "GET /items", body: cup, status: 200},
	}
}

// pathRows are about paths, methods, and the headers of HTTP.
func pathRows() []row {
	get := func(name, target string, status int) row {
		return row{name: name, target: "GET " + target, status: status}
	}
	allow := []string{"Allow"}
	preflight := func(name, origin, header string) row {
		r := row{name: name, target: "OPTIONS /items", status: 204,
			header:  []string{"Origin: " + origin, "Access-Control-Request-Method: POST"},
			compare: []string{"Access-Control-Allow-Origin"}}
		if header != "" {
			r.header, r.compare = append(r.header, "Access-Control-Request-Headers: "+header), append(r.compare, "Access-Control-Allow-Headers")
		}
		return r
	}
	return []row{
		get("all items", "/items", 200),
		get("one item", "/items/7", 200),
		get("an item that does not exist", "/items/404", 404),
		get("a slash at the end", "/items/", 200),
		get("capitals", "/ITEMS", 200),
		get("capitals before an ID", "/Items/AbC/", 200),
		get("two slashes", "//items", 404),
		get("two slashes in the middle", "/items//7", 404),
		get("dots", "/items/../items", 404),
		get("an encoded slash in an ID", "/items/a%2Fb", 200),
		get("an encoded ID", "/items/%C3%BC%20x", 200),
		get("a plus in an ID", "/items/a+b", 200),
		get("an invalid escape", "/items/%zz", 400).but(notHTTP, 400, "400 Bad Request"),
		get("an unknown path", "/nowhere", 404),
		get("an unknown path with a query", "/nowhere?a=b", 404).but("an unknown path with a query", 404, "\"Cannot GET /nowhere\""),
		get("a query that the route does not have", "/items?utm_source=mail&fbclid=x", 200),
		get("an unknown parameter of a route with a query", "/search?limit=2&foo=1", 400).but(unknownParameter, 200, "{\"limit\":2}"),
		{name: "an unknown path with POST", target: "POST /nowhere", body: cup, status: 404},
		row{name: "PUT where there is none", target: "PUT /items/7", body: cup, status: 404}.but(wrongMethod, 405, "Allow: DELETE, GET, HEAD"),
		{name: "HEAD", target: "HEAD /items", status: 200, compare: []string{"Content-Type", "Content-Length", "ETag"}},
		{name: "the headers of a response", target: "GET /items", status: 200, compare: []string{"Content-Type", "Content-Length", "ETag"}},
		{name: "the ETag again", target: "GET /items", header: []string{"If-None-Match: " + tagOfAll}, status: 304, compare: []string{"ETag"}},
		{name: "another ETag", target: "GET /items", header: []string{`If-None-Match: "x"`}, status: 200, compare: []string{"ETag"}},
		{name: "a list of ETags", target: "GET /items", header: []string{`If-None-Match: "x", ` + tagOfAll}, status: 304, compare: []string{"ETag"}},
		{name: "no cache", target: "GET /items", header: []string{"If-None-Match: " + tagOfAll, "Cache-Control: no-cache"}, status: 200},
		row{name: "the ETag of a POST", target: "POST /items", body: cup, status: 201, compare: []string{"ETag"}}.but("the ETag of a POST", 201, ""),
		row{name: "OPTIONS", target: "OPTIONS /items", status: 204, compare: allow}.but("OPTIONS", 204, "Allow: GET, HEAD, POST"),
		row{name: "OPTIONS of an unknown path", target: "OPTIONS /nowhere", status: 204}.but("OPTIONS", 404, "Cannot OPTIONS /nowhere"),
		{name: "a page of another origin", target: "GET /items", header: []string{"Origin: https://other.example"}, status: 200, compare: []string{"Access-Control-Allow-Origin"}},
		preflight("a preflight request", "https://other.example", ""),
		preflight("a preflight request with a header", "https://other.example", "authorization"),
		preflight("a preflight request with an unusual header", "https://other.example", "x-tenant"),
		row{name: "a control character in a header", target: "GET /items", header: []string{"X-Correlation-Id: a b\x7f<script>"}, status: 400}.but(notHTTP, 400, "400 Bad Request"),
		{name: "an unusual correlation ID", target: "GET /items", header: []string{"X-Correlation-Id: a b<script>"}, status: 200},
		row{name: "the framework's name", target: "GET /items", status: 200, compare: []string{"X-Powered-By"}}.but("the framework in a header", 200, ""),
		row{name: "security headers", target: "GET /items", status: 200, compare: []string{"X-Content-Type-Options", "Content-Security-Policy"}}.but("security headers", 200, "X-Content-Type-Options: nosniff"),
	}
}

const sameTime = `"responseTime":0`

var (
	responseTime = regexp.MustCompile(`"responseTime":\d+`)
	anyText      = regexp.MustCompile(`(?s).+`)
)

// documentationRows are about the documentation and the health checks.
func documentationRows() []row {
	return []row{
		{name: "the documentation", target: "GET /api", status: 200, compare: []string{"Content-Type"}, volatile: anyText},
		row{name: "the documentation with a slash", target: "GET /api/", status: 200, volatile: anyText}.but("`/api/`", 301, "Location: ../api"),
		{name: "the document as JSON", target: "GET /api-json", status: 200, compare: []string{"Content-Type"}, volatile: anyText},
		{name: "the document as YAML", target: "GET /api-yaml", status: 200, compare: []string{"Content-Type"}, volatile: anyText},
		{name: "health", target: "GET /health", status: 200, volatile: responseTime, same: sameTime},
	}
}

// errorRows are about what the service answers, or does not.
func errorRows() []row {
	fail := func(name, payload string, status int) row {
		return row{name: name, target: "POST /fail", body: payload, status: status}
	}
	return []row{
		fail("an error with a status", `{"status":404,"message":"no such item"}`, 404),
		fail("a conflict", `{"status":409,"message":"exists"}`, 409),
		fail("teapot", `{"status":418,"message":"tea"}`, 418),
		fail("a status without a name", `{"status":499,"message":"gone"}`, 499),
		fail("an internal error of the service", `{"status":500,"message":"Internal microservice error","timestamp":"2026-01-31T10:00:00.000Z"}`, 500),
		fail("an unavailable service behind the service", `{"status":503,"message":"later"}`, 503),
		fail("an error with further members", `{"status":422,"message":"no","error":"Odd","secret":"x"}`, 422).but("a service's error with `error`", 422, "\"error\":\"Odd\""),
		fail("the texts of a ValidationPipe", `{"status":400,"message":["name must be a string"],"error":"Bad Request"}`, 400).but("a service's error with a list of messages", 400, "\"message\":[\"name must be a string\"]"),
		fail("an error without a message", `{"status":404}`, 404).but("a service's error without a message", 404, "{\"statusCode\":404,\"message\":\"Not Found\"}"),
		fail("a status that is no error", `{"status":200,"message":"fine"}`, 200).but("a service's error with a status below 400", 500, "Internal server error"),
		fail("a status of three hundred", `{"status":302,"message":"elsewhere"}`, 302).but("a service's error with a status below 400", 500, "Internal server error"),
		fail("a status that does not exist", `{"status":1000,"message":"what"}`, 500),
		fail("a status as text", `{"status":"404","message":"no"}`, 503).but("a service's error without a status", 500, "{\"statusCode\":500,\"message\":\"Internal server error\"}"),
		fail("NestJS's statusCode", `{"statusCode":404,"message":"no"}`, 503).but("a service's error with `statusCode` or `code`", 404, "\"message\":\"no\""),
		fail("an error without a status", `{"message":"a secret of the service"}`, 503).but("a service's error without a status", 500, "{\"statusCode\":500,\"message\":\"Internal server error\"}"),
		{name: "no reply in time", target: "GET /slow", status: 503, compare: []string{"Retry-After"}},
		row{name: "no handler", target: "GET /unhandled", status: 503}.but("no handler for the message", 501, "does not handle"),
		row{name: "a service that is down", target: "GET /reports", status: 503, compare: []string{"Retry-After"}}.but("a service that is down", 503, "Retry-After: 1"),
	}
}

// downRows are about the health of a service that is down.
func downRows() []row {
	return []row{
		row{name: "health of a service that is down", target: "GET /health/all", path: "GET /health", status: 503, volatile: responseTime, same: sameTime}.
			but("a health check of a service that is down", 503, `"reports":{"responseTime":0,"status":"down","message":"unreachable"}`),
	}
}

// accessRows are about who may use a route.
func accessRows() []row {
	closed := func(name string, status int, header ...string) row {
		return row{name: name, target: "GET /mine", header: header, status: status}
	}
	remove := func(name string, status int, header ...string) row {
		return row{name: name, target: "DELETE /items/7", header: header, status: status}
	}
	return []row{
		closed("no token", 401),
		closed("a good token", 200, token(nil)),
		closed("an invalid token", 401, "Authorization: Bearer x"),
		closed("an empty token", 401, "Authorization: Bearer "),
		closed("only the scheme", 401, "Authorization: Bearer"),
		closed("Basic", 401, "Authorization: Basic YWxpY2U6cGFzcw=="),
		closed("expired", 401, token(map[string]any{"exp": 1_600_000_000})),
		closed("not valid yet", 401, token(map[string]any{"nbf": 32_000_000_000})),
		closed("another issuer", 401, token(map[string]any{"iss": "https://evil.example"})),
		closed("another audience", 401, token(map[string]any{"aud": "bank"})),
		closed("one of several audiences", 200, token(map[string]any{"aud": []string{"bank", audience}})),
		closed("alg none", 401, "Authorization: Bearer "+signed("none", "", nil)),
		closed("a wrong secret", 401, "Authorization: Bearer "+signed("HS256", "another secret, long enough to be one", nil)),
		closed("never expires", 200, token(map[string]any{"exp": nil})).but("a token that never expires", 401, "Unauthorized"),
		closed("the scheme in lower case", 401, "Authorization: bearer "+signed("HS256", secret, nil)).but("the scheme `bearer` in lower case", 200, "Cup"),
		{name: "a token in the query", target: "GET /mine?access_token=" + signed("HS256", secret, nil), status: 401},
		remove("deleting without a token", 401),
		remove("deleting as a user", 403, token(nil)),
		remove("deleting as an admin", 200, token(map[string]any{"roles": []string{"user", "admin"}})),
		remove("roles that are no list", 500, token(map[string]any{"roles": 7})).but("a claim `roles` of another type", 403, "Forbidden resource"),
		{name: "an order", target: "POST /orders", body: cup, header: []string{token(nil)}, status: 201},
		{name: "an order without a token", target: "POST /orders", body: cup, status: 401},
		{name: "an invalid order", target: "POST /orders", body: `{}`, header: []string{token(nil)}, status: 400},
		{name: "an invalid order without a token", target: "POST /orders", body: `{}`, status: 401},
		row{name: "no JSON without a token", target: "POST /orders", body: `{`, status: 400}.but("a body that is not JSON, without a token", 401, "Unauthorized"),
	}
}
