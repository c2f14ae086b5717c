package principal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The smallest secret, in bytes: as long as the signature. A shorter one is easier to guess
// than the signature.
const leastSecret = sha256.Size

// maxToken limits a signed principal, in bytes: that of the gateway's tokens, and what it adds.
const maxToken = 16 << 10

// DefaultLifetime is how long a signed principal is valid. It covers the time for which a
// message waits at a broker; with a longer one, a copy of a message can be used for longer.
const DefaultLifetime = 5 * time.Minute

// skew is the tolerated difference between the clocks of the gateway and a service.
const skew = 30 * time.Second

// Key signs principals, and verifies them. Its methods are safe for concurrent use.
type Key struct {
	secret   []byte
	previous [][]byte
	lifetime time.Duration
	now      func() time.Time
}

// NewKey returns a key with a secret that the gateway and its services share. During a
// rotation, previous secrets are still accepted, but no longer used to sign. An error reports
// a secret of less than 32 bytes.
func NewKey(secret []byte, previous ...[]byte) (*Key, error) {
	k := &Key{secret: bytes.Clone(secret), lifetime: DefaultLifetime, now: time.Now}
	for _, p := range previous {
		k.previous = append(k.previous, bytes.Clone(p))
	}
	for _, s := range append([][]byte{k.secret}, k.previous...) {
		if len(s) < leastSecret {
			return nil, fmt.Errorf("the secret for principals has %d bytes: use at least %d, such as those of `openssl rand -hex 32`", len(s), leastSecret)
		}
	}
	return k, nil
}

// WithLifetime returns a key whose signatures are valid for d; 0 or less keeps
// [DefaultLifetime].
func (k *Key) WithLifetime(d time.Duration) *Key {
	c := *k
	if d > 0 {
		c.lifetime = d
	}
	return &c
}

// header is that of every token. A token with another one is rejected, so no token can choose
// its algorithm.
const header = `{"alg":"HS256","typ":"JWT"}`

var encodedHeader = base64.RawURLEncoding.EncodeToString([]byte(header)) + "."

// token is the payload of a signed principal.
type token struct {
	Subject string          `json:"sub"`
	Origin  string          `json:"origin,omitempty"` // the issuer of the original token; iss would claim that it has signed this one
	Scope   string          `json:"scope,omitempty"`
	Roles   []string        `json:"roles,omitempty"`
	Claims  json.RawMessage `json:"claims,omitempty"`
	Ends    int64           `json:"ends,omitempty"` // when the authentication ends, in seconds
	Issued  int64           `json:"iat"`
	Expires int64           `json:"exp"`
}

// Sign returns the signed form of p, for metadata. It fails if p is too large or its claims
// are not valid JSON.
func (k *Key) Sign(p *Principal) (string, error) {
	now := k.now()
	t := token{
		Subject: p.Subject, Origin: p.Issuer, Scope: strings.Join(p.Scopes, " "), Roles: p.Roles, Claims: p.Claims,
		Issued: now.Unix(), Expires: now.Add(k.lifetime).Unix(),
	}
	if !p.Expires.IsZero() {
		t.Ends = p.Expires.Unix()
	}
	payload, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("sign a principal: %w", err)
	}
	signed := encodedHeader + base64.RawURLEncoding.EncodeToString(payload)
	signed += "." + signatureOf(signed, k.secret)
	if len(signed) > maxToken {
		return "", fmt.Errorf("sign a principal: it has %d bytes, and at most %d are allowed: send fewer claims", len(signed), maxToken)
	}
	return signed, nil
}

// errInvalid is the only error of Verify, so that it reveals nothing about a forged token.
var errInvalid = errors.New("invalid principal")

// Verify returns the principal in a signed form. The error is the same for every reason.
func (k *Key) Verify(signed string) (*Principal, error) {
	rest, ok := strings.CutPrefix(signed, encodedHeader)
	body, signature, found := strings.Cut(rest, ".")
	if !ok || !found || len(signed) > maxToken {
		return nil, errInvalid
	}
	if !k.signed(signed[:len(signed)-len(signature)-1], signature) {
		return nil, errInvalid
	}
	payload, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return nil, errInvalid
	}
	var t token
	if err := json.Unmarshal(payload, &t); err != nil {
		return nil, errInvalid
	}
	now := k.now()
	if now.Add(-skew).After(time.Unix(t.Expires, 0)) || now.Add(skew).Before(time.Unix(t.Issued, 0)) {
		return nil, errInvalid
	}
	p := &Principal{Subject: t.Subject, Issuer: t.Origin, Roles: t.Roles, Claims: t.Claims}
	if t.Scope != "" {
		p.Scopes = strings.Split(t.Scope, " ")
	}
	if t.Ends != 0 {
		p.Expires = time.Unix(t.Ends, 0)
	}
	return p, nil
}

// signed reports whether one of the secrets gives text this signature. It compares the encoded
// forms, because decoding would accept several forms of one signature.
func (k *Key) signed(text, signature string) bool {
	valid := hmac.Equal([]byte(signature), []byte(signatureOf(text, k.secret)))
	for _, s := range k.previous {
		valid = hmac.Equal([]byte(signature), []byte(signatureOf(text, s))) || valid
	}
	return valid
}

func signatureOf(text string, secret []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
