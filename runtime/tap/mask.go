package tap

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
)

// Masked is the JSON text that replaces a secret.
const Masked = `"***"`

// secretWords are parts of the names of members that hold secrets, in lower case and without
// punctuation.
var secretWords = []string{
	"password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "apikey", "cookie", "credential",
	"privatekey", "accesskey", "signature", "sessionid", "otp", "cvv", "cvc", "pincode", "cardnumber",
}

// IsSecret reports whether a member with this name holds a secret: whether its name, in lower case
// and without punctuation, contains one of a list of words, such as password, token, or authorization.
func IsSecret(name string) bool {
	var b [64]byte
	plain := b[:0]
	for i := range min(len(name), 256) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			plain = append(plain, c+'a'-'A')
		case 'a' <= c && c <= 'z', c >= 0x80:
			plain = append(plain, c)
		}
	}
	for _, word := range secretWords {
		if len(word) <= 3 && len(plain) != len(word) { // a short word is part of many others
			continue
		}
		if bytes.Contains(plain, []byte(word)) {
			return true
		}
	}
	return false
}

// knownNames remembers IsSecret for the names that occur, up to maxNames of them.
var knownNames = struct {
	sync.RWMutex
	secret map[string]bool
}{secret: map[string]bool{}}

const maxNames = 4096

func isSecret(name []byte) bool {
	knownNames.RLock()
	secret, ok := knownNames.secret[string(name)]
	knownNames.RUnlock()
	if ok {
		return secret
	}
	secret = IsSecret(string(name))
	knownNames.Lock()
	defer knownNames.Unlock()
	if len(knownNames.secret) < maxNames && len(name) <= 64 {
		knownNames.secret[string(name)] = secret
	}
	return secret
}

// MaskText replaces what looks like a secret in a text: a token, the credentials of an
// Authorization header, or the password in a URL.
func MaskText(s string) string {
	if isCredential(s) {
		return "***"
	}
	scheme := strings.Index(s, "://")
	if scheme < 0 {
		return s
	}
	rest := s[scheme+3:]
	authority := rest
	if end := strings.IndexAny(rest, "/?# \""); end >= 0 {
		authority = rest[:end]
	}
	at := strings.LastIndexByte(authority, '@')
	colon := strings.IndexByte(authority, ':')
	if at < 0 || colon < 0 || colon > at {
		return s
	}
	return s[:scheme+3] + authority[:colon+1] + "***" + rest[at:]
}

// isCredential reports whether a text is the value of an Authorization header, or a JWT.
func isCredential(s string) bool {
	if len(s) < 8 {
		return false
	}
	switch s[0] {
	case 'B', 'b':
		return strings.EqualFold(s[:7], "bearer ") || strings.EqualFold(s[:6], "basic ")
	case 'e':
		return strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") >= 2
	}
	return false
}

// Mask appends JSON text to dst, with [Masked] in place of each secret: the values of members for
// which [IsSecret] is true, and what [MaskText] replaces in strings. The text may end anywhere, so
// that the beginning of a message can be masked.
func Mask(dst, text []byte) []byte {
	copied := 0 // what precedes it is in dst
	for i := 0; ; {
		quote := bytes.IndexByte(text[i:], '"')
		if quote < 0 {
			break
		}
		start := i + quote
		end := stringEnd(text, start)
		i = end
		colon := skipSpace(text, end)
		if colon < len(text) && text[colon] == ':' {
			value := skipSpace(text, colon+1)
			i = value
			if secretKey(text[start:end]) && value < len(text) && text[value] != 'n' { // null is no secret
				i = valueEnd(text, value)
				dst = append(append(dst, text[copied:value]...), Masked...)
				copied = i
			}
			continue
		}
		if !suspicious(text[start+1 : end]) {
			continue
		}
		plain := strings.TrimSuffix(string(text[start+1:end]), `"`)
		if masked := MaskText(plain); masked != plain {
			dst = append(append(append(dst, text[copied:start+1]...), masked...), '"')
			copied = end
		}
	}
	return append(dst, text[copied:]...)
}

// suspicious quickly excludes most strings that MaskText does not change.
func suspicious(s []byte) bool {
	if len(s) < 8 {
		return false
	}
	switch s[0] {
	case 'B', 'b', 'e':
		return true
	}
	return bytes.IndexByte(s, '@') >= 0
}

// secretKey is IsSecret for the JSON text of a name.
func secretKey(quoted []byte) bool {
	if len(quoted) < 2 {
		return false
	}
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		var decoded string
		if json.Unmarshal(quoted, &decoded) == nil {
			name = []byte(decoded)
		}
	}
	return isSecret(name)
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the end of the string that starts at i, or that of the text.
func stringEnd(text []byte, i int) int {
	for at := i + 1; ; {
		quote := bytes.IndexByte(text[at:], '"')
		if quote < 0 {
			return len(text)
		}
		at += quote + 1
		escapes := 0
		for text[at-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
	}
}

// valueEnd returns the end of the value that starts at i, or that of the text.
func valueEnd(text []byte, i int) int {
	for depth := 0; i < len(text); {
		switch text[i] {
		case '"':
			i = stringEnd(text, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of the object that contains the value
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(text)
}
