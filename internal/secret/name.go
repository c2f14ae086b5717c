package secret

import (
	"slices"
	"strings"
	"unicode"
)

// Named reports whether a name usually stands for a credential: the name of a header, a
// query parameter, a member of JSON, a metadata key, or an environment variable, in any
// spelling: Authorization, x-api-key, accessToken, DB_PASSWORD.
func Named(name string) bool {
	list := words(name)
	if len(list) == 0 || slices.Contains(aboutWords, list[len(list)-1]) {
		return false
	}
	for i, word := range list {
		before := ""
		if i > 0 {
			before = list[i-1]
		}
		last := i == len(list)-1
		switch {
		case word == "tokens" && slices.Contains(countWords, before):
			return false
		case slices.Contains(secretWords, word), last && slices.Contains(lastWords, word):
			return true
		case word == "key" && slices.Contains(keyWords, before):
			return true
		}
	}
	whole := strings.Join(list, "")
	return slices.ContainsFunc(stems, func(stem string) bool { return strings.Contains(whole, stem) }) ||
		strings.HasSuffix(whole, "token") || strings.HasSuffix(whole, "cookie") || strings.HasSuffix(whole, "secret")
}

// The words that names of credentials consist of.
var (
	secretWords = []string{
		"authorization", "bearer", "cookie", "cookies", "credential", "credentials", "jwt", "otp", "pass", "passcode", "passphrase",
		"passwd", "password", "passwords", "pwd", "secret", "secrets", "sid", "token", "tokens", "totp",
	}
	// lastWords are credentials only at the end of a name.
	lastWords = []string{"apikeys", "auth", "pin", "session", "sig", "signature"}
	// keyWords precede a key that is a credential.
	keyWords = []string{
		"access", "account", "api", "auth", "client", "encryption", "function", "master", "private", "secret", "service", "session", "shared",
		"signing", "ssh", "subscription",
	}
	// stems are parts of names in one word, such as dbpassword.
	stems = []string{
		"password", "passwd", "passphrase", "clientsecret", "secretkey", "apikey", "accesskey", "privatekey", "credential", "authorization",
		"sessionid", "sessid",
	}
	// aboutWords end names of what is known about a credential.
	aboutWords = []string{
		"algorithm", "audience", "changed", "count", "enabled", "endpoint", "error", "errors", "expiration", "expires", "expiry", "field",
		"file", "format", "issuer", "length", "limit", "mode", "name", "path", "policy", "prefix", "required", "scheme", "size", "status",
		"strategy", "ttl", "type", "uri", "url", "valid", "verified", "version",
	}
	// countWords precede the tokens that are counted.
	countWords = []string{"completion", "input", "max", "min", "num", "output", "prompt", "total"}
)

// words splits a name into its words, in lower case: xApiKey, x-api-key, and X_API_KEY
// have three.
func words(name string) (list []string) {
	runes := []rune(name)
	start := 0
	add := func(end int) {
		if end > start {
			list = append(list, strings.ToLower(string(runes[start:end])))
		}
		start = end
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r):
			add(i)
			start = i + 1
		case i > start && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			add(i)
		}
	}
	add(len(runes))
	return list
}
