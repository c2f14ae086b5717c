package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/principal"
)

const (
	issuer   = "https://login.example"
	audience = "shop"
)

var (
	secret = []byte(strings.Repeat("s", 32))
	start  = time.Unix(1_800_000_000, 0)
)

// claims returns those of a good token with some members replaced; nil removes a member.
func claims(changes map[string]any) map[string]any {
	all := map[string]any{
		"iss": issuer, "aud": audience, "sub": "alice", "exp": start.Add(time.Hour).Unix(), "iat": start.Unix(),
		"scope": "items:read items:write", "roles": []string{"admin"},
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func asJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signWith signs a payload with a library that is not under test.
func signWith(t testing.TB, alg jose.SignatureAlgorithm, key any, payload []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// hs256 signs any header and payload, valid or not.
func hs256(header, payload string, key []byte) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func newTokens(t testing.TB, config TokenConfig) *Tokens {
	t.Helper()
	config.Issuer, config.Audience = issuer, audience
	tokens, err := NewTokens(config)
	if err != nil {
		t.Fatal(err)
	}
	tokens.now = func() time.Time { return start }
	return tokens
}

func withBearer(token string) *http.Request {
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

type keyPair struct {
	alg     jose.SignatureAlgorithm
	private any
	public  any
	pem     []byte
}

func newKeyPair(t testing.TB, alg jose.SignatureAlgorithm) keyPair {
	t.Helper()
	p := keyPair{alg: alg}
	switch alg {
	case jose.RS256:
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		p.private, p.public = k, &k.PublicKey
	case jose.ES256:
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		p.private, p.public = k, &k.PublicKey
	default:
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		p.private, p.public = private, public
	}
	der, err := x509.MarshalPKIXPublicKey(p.public)
	if err != nil {
		t.Fatal(err)
	}
	p.pem = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return p
}

// TestGoodTokens checks every algorithm and what the principal contains.
func TestGoodTokens(t *testing.T) {
	t.Parallel()
	payload := asJSON(t, claims(nil))
	want := &principal.Principal{
		Subject: "alice", Issuer: issuer, Scopes: []string{"items:read", "items:write"}, Roles: []string{"admin"},
		Claims: payload, Expires: start.Add(time.Hour),
	}
	check := func(tokens *Tokens, token string) {
		t.Helper()
		for range 2 { // verified, and from the cache
			got, err := tokens.Authenticate(withBearer(token))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		}
	}
	check(newTokens(t, TokenConfig{Secrets: [][]byte{secret}}), signWith(t, jose.HS256, secret, payload))
	previous := []byte(strings.Repeat("p", 32))
	check(newTokens(t, TokenConfig{Secrets: [][]byte{secret, previous}}), signWith(t, jose.HS256, previous, payload))
	var documents [][]byte
	var tokens []string
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		p := newKeyPair(t, alg)
		documents = append(documents, p.pem)
		tokens = append(tokens, signWith(t, alg, p.private, payload))
	}
	all := newTokens(t, TokenConfig{PublicKeys: documents})
	for _, token := range tokens {
		check(all, token)
	}
}

// TestHostileTokens checks that each token that differs from a good one in one way is rejected.
func TestHostileTokens(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, TokenConfig{Secrets: [][]byte{secret}})
	header := `{"alg":"HS256","typ":"JWT"}`
	good := hs256(header, string(asJSON(t, claims(nil))), secret)
	if _, err := tokens.Authenticate(withBearer(good)); err != nil {
		t.Fatal(err)
	}
	with := func(changes map[string]any) string { return hs256(header, string(asJSON(t, claims(changes))), secret) }
	payload := string(asJSON(t, claims(nil)))
	part := strings.Split(good, ".")
	before := func(d time.Duration) int64 { return start.Add(-d).Unix() }
	hostile := map[string]string{
		"no signature":             part[0] + "." + part[1] + ".",
		"alg none":                 hs256(`{"alg":"none"}`, payload, nil),
		"alg nOnE":                 hs256(`{"alg":"nOnE"}`, payload, nil),
		"alg HS512":                signWith(t, jose.HS512, []byte(strings.Repeat("s", 64)), []byte(payload)),
		"another secret":           hs256(header, payload, []byte(strings.Repeat("x", 32))),
		"no key":                   hs256(header, payload, nil),
		"unknown crit":             hs256(`{"alg":"HS256","crit":["x"],"x":1}`, payload, secret),
		"b64":                      hs256(`{"alg":"HS256","crit":["b64"],"b64":false}`, payload, secret),
		"expired":                  with(map[string]any{"exp": before(time.Minute)}),
		"expired, EXP":             with(map[string]any{"exp": before(time.Minute), "EXP": start.Add(time.Hour).Unix()}),
		"no expiry":                with(map[string]any{"exp": nil}),
		"expiry as text":           with(map[string]any{"exp": "4000000000"}),
		"expiry out of range":      hs256(header, strings.Replace(payload, `"exp":1800003600`, `"exp":1e300`, 1), secret),
		"not valid yet":            with(map[string]any{"nbf": start.Add(time.Minute).Unix()}),
		"issued in the future":     with(map[string]any{"iat": start.Add(time.Hour).Unix()}),
		"another issuer":           with(map[string]any{"iss": issuer + "/"}),
		"no issuer":                with(map[string]any{"iss": nil}),
		"another audience":         with(map[string]any{"aud": []string{"bank", "shop2"}}),
		"no audience":              with(map[string]any{"aud": nil}),
		"no subject":               with(map[string]any{"sub": nil}),
		"two subjects":             hs256(header, strings.Replace(payload, `"sub":"alice"`, `"sub":"alice","sub":"admin"`, 1), secret),
		"claims that are a list":   hs256(header, `[]`, secret),
		"four parts":               good + ".AA",
		"two parts":                part[0] + "." + part[1],
		"nothing":                  "",
		"a newline":                good + "\n",
		"a space":                  good + " ",
		"two tokens":               good + ", Bearer " + good,
		"padding":                  part[0] + "=." + part[1] + "." + part[2],
		"many dots":                strings.Repeat(".", 5000),
		"a huge token":             hs256(header, strings.Replace(payload, "alice", strings.Repeat("a", maxToken), 1), secret),
		"JSON serialization":       `{"payload":"` + part[1] + `","signatures":[]}`,
		"an embedded key":          hs256(`{"alg":"HS256","jwk":{"kty":"oct","k":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"}}`, payload, []byte(strings.Repeat("x", 32))),
		"a key ID that is a path":  hs256(`{"alg":"HS256","kid":"../../dev/null"}`, payload, nil),
		"a key ID that is a query": hs256(`{"alg":"HS256","kid":"' OR 1=1 --"}`, payload, []byte("x")),
		"a nested token":           hs256(`{"alg":"HS256","cty":"JWT"}`, good, secret),
	}
	for name, token := range hostile {
		if p, err := tokens.Authenticate(withBearer(token)); err == nil || p != nil {
			t.Errorf("%s: accepted as %s", name, p.Subject)
		} else if strings.Contains(err.Error(), "alice") || len(token) > 50 && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error contains the token: %v", name, err)
		}
	}
}

// TestKeyConfusion checks that a public key is never used as the secret of another algorithm.
func TestKeyConfusion(t *testing.T) {
	t.Parallel()
	p := newKeyPair(t, jose.RS256)
	tokens := newTokens(t, TokenConfig{PublicKeys: [][]byte{p.pem}})
	payload := string(asJSON(t, claims(nil)))
	der, _ := pem.Decode(p.pem)
	for _, key := range [][]byte{p.pem, []byte(strings.TrimSpace(string(p.pem))), der.Bytes} {
		if _, err := tokens.Authenticate(withBearer(hs256(`{"alg":"HS256"}`, payload, key))); err == nil {
			t.Error("a token that is signed with the public key is accepted")
		}
	}
	other := newKeyPair(t, jose.ES256)
	for _, token := range []string{
		signWith(t, jose.RS512, p.private, []byte(payload)),
		signWith(t, jose.PS256, p.private, []byte(payload)),
		signWith(t, jose.ES256, other.private, []byte(payload)),
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
	} {
		if _, err := tokens.Authenticate(withBearer(token)); err == nil {
			t.Errorf("%.20s… is accepted", token)
		}
	}
}

// TestPlaces checks where a token may be.
func TestPlaces(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, TokenConfig{Secrets: [][]byte{secret}})
	good := signWith(t, jose.HS256, secret, asJSON(t, claims(nil)))
	for _, c := range []struct {
		name   string
		header []string
		target string
		want   error // nil: accepted; errAny: rejected
	}{
		{"Bearer", []string{"Bearer " + good}, "/", nil},
		{"any case", []string{"bEARER " + good}, "/", nil},
		{"none", nil, "/", gateway.ErrNoCredentials},
		{"in the query", nil, "/?access_token=" + good, gateway.ErrNoCredentials},
		{"Basic", []string{"Basic " + good}, "/", errAny},
		{"no scheme", []string{good}, "/", errAny},
		{"two headers", []string{"Bearer " + good, "Bearer " + good}, "/", errAny},
		{"two spaces", []string{"Bearer  " + good}, "/", errAny},
	} {
		req := httptest.NewRequest("GET", c.target, nil)
		req.Header["Authorization"] = c.header
		_, err := tokens.Authenticate(req)
		if ok := c.want == errAny && err != nil && !errors.Is(err, gateway.ErrNoCredentials) || c.want != errAny && errors.Is(err, c.want); !ok { //nolint:errorlint // a marker
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

var errAny = errors.New("any")

// TestCache checks that a token is not accepted beyond its end because it was seen, and that the
// cache is bounded.
func TestCache(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, TokenConfig{Secrets: [][]byte{secret}})
	now := start
	tokens.now = func() time.Time { return now }
	short := signWith(t, jose.HS256, secret, asJSON(t, claims(map[string]any{"exp": start.Add(10 * time.Second).Unix()})))
	if _, err := tokens.Authenticate(withBearer(short)); err != nil {
		t.Fatal(err)
	}
	now = start.Add(10*time.Second + defaultSkew + 2*time.Second)
	if _, err := tokens.Authenticate(withBearer(short)); err == nil {
		t.Error("an expired token is accepted because it was seen before")
	}
	c := newCache()
	for i := range 5 * cacheSize {
		c.put(fmt.Sprint(i), &principal.Principal{Expires: start.Add(time.Hour)}, start)
	}
	if n := len(c.young) + len(c.old); n > 2*cacheSize {
		t.Errorf("the cache holds %d tokens", n)
	}
	last := fmt.Sprint(5*cacheSize - 1)
	if c.get(last, start) == nil || c.get(last, start.Add(cacheFor)) != nil || c.get("0", start) != nil {
		t.Error("the cache does not hold the last tokens for a minute")
	}
}

// TestConfigurations checks that a configuration that would accept too much is rejected.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it must be rejected
	if err != nil {
		t.Skip("this toolchain creates no small keys: ", err)
	}
	der, err := x509.MarshalPKIXPublicKey(&small.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]TokenConfig{
		"no issuer":    {Audience: audience, Secrets: [][]byte{secret}},
		"no audience":  {Issuer: issuer, Secrets: [][]byte{secret}},
		"short secret": {Issuer: issuer, Audience: audience, Secrets: [][]byte{secret[1:]}},
		"empty secret": {Issuer: issuer, Audience: audience, Secrets: [][]byte{{}}},
		"small key":    {Issuer: issuer, Audience: audience, PublicKeys: [][]byte{pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}},
		"no PEM":       {Issuer: issuer, Audience: audience, PublicKeys: [][]byte{[]byte("x")}},
		"two sources":  {Issuer: issuer, Audience: audience, Secrets: [][]byte{secret}, JWKS: "https://login.example/keys"},
		"plain HTTP":   {Issuer: issuer, Audience: audience, JWKS: "http://login.example/keys"},
		"no URL":       {Issuer: "shop", Audience: audience},
	} {
		if _, err := NewTokens(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func BenchmarkTokens(b *testing.B) {
	payload := asJSON(b, claims(nil))
	for _, alg := range []jose.SignatureAlgorithm{jose.HS256, jose.RS256, jose.ES256, jose.EdDSA} {
		config, key := TokenConfig{Secrets: [][]byte{secret}}, any(secret)
		if alg != jose.HS256 {
			p := newKeyPair(b, alg)
			config, key = TokenConfig{PublicKeys: [][]byte{p.pem}}, p.private
		}
		tokens := newTokens(b, config)
		token := signWith(b, alg, key, payload)
		req := withBearer(token)
		b.Run(string(alg)+"/first", func(b *testing.B) {
			for b.Loop() {
				if _, err := tokens.verify(b.Context(), token, start); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(alg)+"/seen", func(b *testing.B) {
			for b.Loop() {
				if _, err := tokens.Authenticate(req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
