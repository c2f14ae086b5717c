package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/principal"
)

// TokenConfig describes the tokens of one issuer. Exactly one source of keys is used: Secrets,
// PublicKeys, JWKS, or, without any of them, the issuer's OpenID configuration.
type TokenConfig struct {
	// Issuer must be the claim iss of every token. Required.
	Issuer string
	// Audience must be among the claim aud of every token. Required: without it, a token for
	// another service of the issuer is valid here.
	Audience string

	// Secrets verify tokens with the algorithm HS256: the current one, and previous ones during
	// a rotation. Each has at least 32 bytes.
	Secrets [][]byte
	// PublicKeys are PEM documents. The type of each key determines its algorithm: RSA with at
	// least 2048 bits is RS256, an elliptic curve P-256 is ES256, and Ed25519 is EdDSA.
	PublicKeys [][]byte
	// JWKS is the URL of a JSON Web Key Set. Keys are kept while the issuer is unavailable.
	JWKS string
	// HTTPClient fetches keys. The default has a timeout of 5 s and follows no redirects.
	HTTPClient *http.Client

	// Skew is the tolerated difference between clocks. The default is 30 s.
	Skew time.Duration
	// RolesClaim is the claim that lists the caller's roles. The default is "roles". Scopes come
	// from the claims scope and scp.
	RolesClaim string
}

// Tokens authenticates callers by bearer tokens. Its methods are safe for concurrent use.
type Tokens struct {
	config TokenConfig
	keys   keys
	seen   *cache
	now    func() time.Time
}

// keys finds the keys of an issuer.
type keys interface {
	// find returns the keys that may have signed a token with a key ID and an algorithm.
	find(ctx context.Context, id string, alg jose.SignatureAlgorithm) ([]any, error)
	// algorithms are those of the keys. The token's own choice does not matter.
	algorithms() []jose.SignatureAlgorithm
}

const (
	defaultSkew       = 30 * time.Second
	defaultRolesClaim = "roles"
)

// NewTokens returns an authenticator for the tokens of an issuer. An error reports a
// configuration that would accept too much. Keys from a URL are fetched on first use, so a
// gateway starts while its issuer is unavailable.
func NewTokens(config TokenConfig) (*Tokens, error) {
	if config.Issuer == "" || config.Audience == "" {
		return nil, errors.New("tokens require an issuer and an audience")
	}
	if config.Skew <= 0 {
		config.Skew = defaultSkew
	}
	if config.RolesClaim == "" {
		config.RolesClaim = defaultRolesClaim
	}
	t := &Tokens{config: config, seen: newCache(), now: time.Now}
	var err error
	switch sources := count(len(config.Secrets) > 0, len(config.PublicKeys) > 0, config.JWKS != ""); {
	case sources > 1:
		return nil, errors.New("tokens have one source of keys: secrets, public keys, or a JWKS URL")
	case len(config.Secrets) > 0:
		t.keys, err = newSecrets(config.Secrets)
	case len(config.PublicKeys) > 0:
		t.keys, err = newPublicKeys(config.PublicKeys)
	case config.JWKS != "":
		t.keys, err = newKeySet(config.JWKS, false, config.HTTPClient)
	default:
		t.keys, err = newKeySet(strings.TrimSuffix(config.Issuer, "/")+"/.well-known/openid-configuration", true, config.HTTPClient)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

func count(list ...bool) (n int) {
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}

// Scheme describes the tokens in the OpenAPI document.
func (t *Tokens) Scheme() (string, *huma.SecurityScheme) {
	description := fmt.Sprintf("A token of %s for the audience %s. In the dialog, enter it without the word Bearer.", t.config.Issuer, t.config.Audience)
	if len(t.config.Secrets) > 0 {
		description += " During development, `msctl token` prints one; `--scope` and `--role` add what an operation requires."
	}
	return "bearer", &huma.SecurityScheme{Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: description}
}

// Authenticate returns the caller that the token of a request names.
func (t *Tokens) Authenticate(req *http.Request) (*principal.Principal, error) {
	text, err := bearer(req)
	if err != nil {
		return nil, err
	}
	now := t.now()
	if p := t.seen.get(text, now); p != nil {
		return p, nil
	}
	p, err := t.verify(req.Context(), text, now)
	if err != nil {
		return nil, err
	}
	t.seen.put(text, p, now)
	return p, nil
}

// verify checks a token completely.
func (t *Tokens) verify(ctx context.Context, text string, now time.Time) (*principal.Principal, error) {
	// The library ignores line breaks, which would give one token several forms.
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("the token contains a line break")
	}
	parsed, err := jwt.ParseSigned(text, t.keys.algorithms())
	if err != nil {
		return nil, errors.New("the token is not a JSON Web Token with an allowed algorithm")
	}
	if len(parsed.Headers) != 1 {
		return nil, errors.New("the token does not have one signature")
	}
	header := parsed.Headers[0]
	candidates, err := t.keys.find(ctx, header.KeyID, jose.SignatureAlgorithm(header.Algorithm))
	if err != nil {
		return nil, err
	}
	var claims jwt.Claims
	var all json.RawMessage
	signed := slices.ContainsFunc(candidates, func(key any) bool { return parsed.Claims(key, &claims, &all) == nil })
	if !signed {
		return nil, errors.New("no key of the issuer has signed the token")
	}
	if claims.Expiry == nil {
		return nil, errors.New("the token never expires")
	}
	expected := jwt.Expected{Issuer: t.config.Issuer, AnyAudience: jwt.Audience{t.config.Audience}, Time: now}
	if err := claims.ValidateWithLeeway(expected, t.config.Skew); err != nil {
		return nil, fmt.Errorf("the token is not valid: %w", err)
	}
	if claims.Subject == "" {
		return nil, errors.New("the token has no subject")
	}
	return t.principalOf(&claims, all)
}

// principalOf reads the scopes and roles of verified claims.
func (t *Tokens) principalOf(claims *jwt.Claims, all json.RawMessage) (*principal.Principal, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(all, &members); err != nil {
		return nil, errors.New("the claims are not an object")
	}
	p := &principal.Principal{
		Subject: claims.Subject, Issuer: claims.Issuer, Claims: all, Expires: claims.Expiry.Time(),
		Scopes: append(words(members["scope"]), words(members["scp"])...),
		Roles:  words(members[t.config.RolesClaim]),
	}
	slices.Sort(p.Scopes)
	p.Scopes = slices.Compact(p.Scopes)
	return p, nil
}

// words reads a list of strings, or a string of words, as OAuth has it.
func words(text json.RawMessage) []string {
	var list []string
	if json.Unmarshal(text, &list) == nil {
		return list
	}
	var one string
	if json.Unmarshal(text, &one) == nil {
		return strings.Fields(one)
	}
	return nil
}

var _ gateway.Authenticator = (*Tokens)(nil)
