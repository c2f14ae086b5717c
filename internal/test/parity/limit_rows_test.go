package parity_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// limitRows are about the sixth request where five are allowed.
func limitRows() []row {
	headers := []string{"X-RateLimit-Limit", "X-RateLimit-Remaining"}
	var all []row
	for _, name := range []string{"the first request", "the second request", "the third request", "the fourth request", "the fifth request"} {
		all = append(all, row{name: name, target: "GET /limited", status: 200, compare: headers})
	}
	return append(all,
		row{name: "the sixth request", target: "GET /limited", status: 429, compare: []string{"Retry-After"}}.but("too many requests", 429, "Retry-After: 7"),
		row{name: "the seventh request", target: "GET /limited", status: 429},
		row{name: "another route", target: "GET /items", status: 200},
	)
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
