package parity_test

import (
	"crypto/tls"
	"regexp"
	"strings"
)

// Reasons of several rows.
const (
	endOfEvents = "the end of an event stream"
	noEvents    = "an event stream for a client that does not accept one"
)

// pageRows are about lists in pages.
func pageRows() []row {
	list := func(name, target string, status int) row {
		return row{name: name, target: "GET " + target, status: status, compare: []string{"Link", "X-Total-Count"}}
	}
	return []row{
		list("the first page", "/pages", 200),
		list("a page in the middle", "/pages?limit=10&offset=20", 200),
		list("the last page", "/pages?offset=40&limit=20", 200),
		list("beyond the end", "/pages?limit=10&offset=100", 200),
		list("less than a page before", "/pages?limit=10&offset=5", 200),
		list("no items", "/pages?limit=0", 400),
		list("too many items", "/pages?limit=101", 400),
		list("a negative offset", "/pages?offset=-1", 400),
		list("a word for an offset", "/pages?offset=x&limit=y", 400),
		list("the first page of a cursor", "/cursors?limit=5", 200),
		list("the last page of a cursor", "/cursors?cursor=k7", 200),
		list("a cursor that is too long", "/cursors?cursor="+strings.Repeat("k", 513), 400),
	}
}

// ends matches the ends of a stream: before the first event, NestJS sends an empty line, which clients ignore.
var ends = regexp.MustCompile(`^\n|event: end\ndata: \{\}\n\n$`)

// eventRows are about server-sent events.
func eventRows() []row {
	watch := func(name, target string, status int) row {
		return row{name: name, target: "GET " + target, header: []string{"Accept: text/event-stream"}, status: status, compare: []string{"Content-Type", "X-Accel-Buffering"}, volatile: ends}
	}
	first := watch("the last ID of a client", "/watch", 200)
	first.header = append(first.header, "Last-Event-ID: 2")
	whole := watch("the end of a stream", "/watch", 200)
	whole.volatile = regexp.MustCompile(`^\n`)
	caching := watch("caching of a stream", "/watch", 200)
	caching.compare = []string{"Cache-Control"}
	plain := watch("no Accept", "/watch", 200)
	plain.header = nil
	posted := watch("a stream with POST", "/watch", 404)
	posted.target = "POST /watch"
	refused := watch("an error before the first event", "/watch/refused", 404)
	refused.or = 200
	head := watch("HEAD of a stream", "/watch", 200)
	head.target = "HEAD /watch"
	return []row{
		watch("events", "/watch", 200),
		first,
		whole.but(endOfEvents, 200, "event: end\ndata: {}\n\n"),
		caching.but("caching of an event stream", 200, "Cache-Control: no-store, no-transform"),
		watch("texts", "/watch/texts", 200).but("an event that is a text", 200, "data: \"one\"\n"),
		watch("an error after an event", "/watch/broken", 200).but("an error after the first event", 200, `event: error`),
		refused.but("an error before the first event", 404, `{"statusCode":404,"message":"no catalog"}`),
		head.but("HEAD of an event stream", 200, "Content-Type: text/event-stream"),
		plain.but(noEvents, 200, `[{"id":"1","name":"Cup"}`),
		posted.but(wrongMethod, 405, "Allow: GET, HEAD"),
	}
}

// compressionRows are about responses to clients that accept compressed ones.
func compressionRows() []row {
	const brotli = "a client that accepts Brotli"
	compare := []string{"Content-Encoding", "Vary", "ETag"}
	get := func(name, target, encoding string, more ...string) row {
		r := row{name: name, target: "GET /compressed/" + target, status: 200, compare: compare, header: more}
		if encoding != "" {
			r.header = append(r.header, "Accept-Encoding: "+encoding)
		}
		return r
	}
	events := get("events are not compressed", "watch", "gzip", "Accept: text/event-stream")
	events.compare, events.volatile = compare[:1], ends
	head := get("HEAD of a large response", "many", "gzip")
	head.target = "HEAD /compressed/many"
	return []row{
		get("no encoding", "many", ""),
		get("gzip", "many", "gzip"),
		get("deflate", "many", "deflate"),
		get("gzip before deflate", "many", "deflate, gzip"),
		get("any", "many", "*").but(brotli, 200, "Content-Encoding: gzip"),
		get("what browsers send", "many", "gzip, deflate, br, zstd").but(brotli, 200, "Content-Encoding: gzip"),
		get("only Brotli", "many", "br").but(brotli, 200, "Vary: Accept-Encoding"),
		get("not gzip", "many", "gzip;q=0, deflate"),
		get("identity", "many", "identity"),
		get("an unknown encoding", "many", "lzma"),
		get("a small response", "few", "gzip"),
		events,
		head.but("HEAD of a response that is compressed", 200, "Content-Encoding: gzip"),
	}
}

// headRows are about HEAD.
func headRows() []row {
	head := func(name, target string, status int, header ...string) row {
		return row{name: name, target: "HEAD " + target, status: status, header: header, compare: []string{"Content-Type", "Content-Length"}}
	}
	tagged := func(r row) row { r.compare = append(r.compare, "ETag"); return r }
	return []row{
		tagged(head("one item", "/items/7", 200)),
		head("an item that does not exist", "/items/404", 404),
		tagged(head("an unknown path", "/nowhere", 404)).but("the ETag of an error", 404, ""),
		head("an invalid query", "/search?limit=many", 400),
		tagged(head("the ETag again", "/items", 304, "If-None-Match: "+tagOfAll)),
		head("no token", "/mine", 401),
		tagged(head("a token", "/mine", 200, token(nil))),
		head("only POST", "/profiles", 404).but(wrongMethod, 405, "Allow: POST"),
		{name: "the documentation", target: "HEAD /api", status: 200, compare: []string{"Content-Type"}},
		{name: "the document", target: "HEAD /api-json", status: 200, compare: []string{"Content-Type"}},
		{name: "health", target: "HEAD /health", status: 200, compare: []string{"Content-Type"}},
		{name: "a page", target: "HEAD /pages?limit=10", status: 200, compare: []string{"Link", "X-Total-Count"}},
	}
}

// framingRows are about where a request ends.
func framingRows() []row {
	const twoLengths = "a length and chunks, or a folded header"
	const chunked = "1b\r\n" + cup + "\r\n0\r\n\r\n"
	post := func(name, body string, status int, header ...string) row {
		return row{name: name, target: "POST /items", body: body, status: status, header: append(header, "Connection:"), compare: []string{"Connection"}}
	}
	huge := post("ten gigabytes announced", "", 400, "Content-Type: application/json", "Content-Length: 10000000000", "Expect: 100-continue")
	huge.ends = true
	return []row{
		post("a length and chunks", chunked, 400, "Content-Length: 5", "Transfer-Encoding: chunked").but(twoLengths, 201, "Connection: close"),
		post("a folded transfer encoding", chunked, 400, "Content-Length:", "Transfer-Encoding:\r\n chunked").but(twoLengths, 201, "Connection: close"),
		post("two lengths", cup, 400, "Content-Length: 27", "Content-Length: 5").but(notHTTP, 400, "400 Bad Request"),
		post("an unknown transfer encoding", cup, 400, "Content-Length:", "Transfer-Encoding: xchunked").but(notHTTP, 501, "Unsupported transfer encoding"),
		huge.but("a body that is announced as too large", 413, "Connection: close"),
		{name: "100 Continue", target: "POST /items", body: cup, status: 201, header: []string{"Expect: 100-continue"}},
		{name: "an unknown expectation", target: "POST /items", body: cup, status: 417, header: []string{"Expect: a-miracle"}},
		row{name: "HTTP/1.1 without a host", target: "GET /items", status: 400, header: []string{"Host:"}}.but(notHTTP, 400, "missing required Host header"),
	}
}

// tlsRows are about connections with TLS.
func tlsRows() []row {
	return []row{
		{name: "TLS 1.3", target: "GET /items", status: 200, tls: tls.VersionTLS13},
		{name: "TLS 1.2", target: "POST /items", body: cup, status: 201, tls: tls.VersionTLS12, header: []string{"Content-Type: application/json"}},
		{name: "TLS 1.1", target: "GET /items", tls: tls.VersionTLS11},
		row{name: "the version of HTTP", target: "GET /items", status: 200, tls: tls.VersionTLS13, compare: []string{protocol}}.but("HTTP/2", 200, "HTTP/2.0"),
		row{name: "a request without TLS", target: "GET /items", toTLS: true}.but("a request without TLS on the port of TLS", 400, "Client sent an HTTP request to an HTTPS server"),
	}
}
