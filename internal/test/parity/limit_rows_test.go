package parity_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

const tooMany = "too many requests"

// limitRows are about the sixth request where five are allowed, and the third where two are.
func limitRows() []row {
	headers := []string{"X-RateLimit-Limit", "X-RateLimit-Remaining"}
	get := func(name, path string, status int, compare ...string) row {
		return row{name: name, target: "GET " + path, status: status, compare: compare}
	}
	another := headers
	for _, name := range headers {
		another = append(another, name+"-short")
	}
	return []row{
		get("the first request", "/limited", 200, headers...),
		get("the second request", "/limited", 200, append(headers, "X-RateLimit-Reset")...).but("X-RateLimit-Reset", 200, "X-Ratelimit-Reset: 1"),
		get("the third request", "/limited", 200, headers...),
		{name: "the fourth request, with HEAD", target: "HEAD /limited", status: 200, compare: headers},
		get("the fifth request", "/limited", 200, headers...),
		get("the sixth request", "/limited", 429, "Retry-After").but(tooMany, 429, "Retry-After: 7"),
		get("the seventh request", "/limited", 429),
		get("the limit of the eighth request", "/limited", 429, headers...).but("the limit in a 429", 429, "X-Ratelimit-Remaining: 0"),
		{name: "the ninth request, with HEAD", target: "HEAD /limited", status: 429},
		get("another route", "/items", 200),

		get("the first request with two limits", "/limited/twice", 200, another...),
		get("the second request with two limits", "/limited/twice", 200, another...),
		get("the third request with two limits", "/limited/twice", 429, "Retry-After-Short").but(tooMany, 429, "Retry-After-Short: 1"),
		get("the fourth request with two limits", "/limited/twice", 429),
		get("Retry-After with two limits", "/limited/twice", 429, "Retry-After").but("Retry-After of a limit with a name", 429, "Retry-After: 1"),
	}
}

// webhookRows are about the signature of a webhook.
func webhookRows() []row {
	const body = `{"action":"created","text":"\u00fc","n":1.0}`
	sign := func(body string) string {
		mac := hmac.New(sha256.New, []byte(webhookSecret))
		mac.Write([]byte(body))
		return "X-Hub-Signature-256: sha256=" + hex.EncodeToString(mac.Sum(nil))
	}
	hook := func(name, body string, status int, header ...string) row {
		return row{name: name, target: "POST /webhook", body: body, status: status, header: header}
	}
	return []row{
		hook("a good signature", body, 200, sign(body)),
		hook("the same webhook again", body, 200, sign(body)).but("a webhook that was received before", 401, "Unauthorized"),
		hook("a body with white space", " "+body+"\n", 200, sign(" "+body+"\n")),
		hook("the signature of another body", body, 401, sign(body+" ")),
		hook("no signature", body, 401),
		hook("a signature that is too short", body, 401, "X-Hub-Signature-256: sha256=00"),
		hook("a signature without its algorithm", body, 401, sign(body)[:21]+sign(body)[28:]),
		hook("another media type", body, 400, sign(body), "Content-Type: text/plain"),
		hook("a signed body that is not JSON", "{", 400, sign("{")).but(notJSON, 400, "unexpected end of the JSON"),
		hook("no JSON and no signature", "{", 400).but("a webhook that is not JSON, without a signature", 401, "Unauthorized"),
		row{name: "a webhook with GET", target: "GET /webhook", status: 404}.but(wrongMethod, 405, "Allow: POST"),
	}
}
