package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/msctl/msctl/runtime/principal"
)

// signedFor is the default lifetime of a token.
const signedFor = time.Hour

// Sign returns a token for p that [NewTokens] with the same configuration accepts, for tests and
// development. It is signed with the first of the Secrets, without which it fails, and has the
// Issuer of the configuration. A zero p.Expires is in an hour. The members of p.Claims, a JSON
// object, are claims of the token, too; those that p or the configuration determine cannot be
// among them.
func (c TokenConfig) Sign(p *principal.Principal) (string, error) {
	if len(c.Secrets) == 0 {
		return "", errors.New("signing a token requires a secret")
	}
	if _, err := NewTokens(c); err != nil {
		return "", err
	}
	if p.Subject == "" {
		return "", errors.New("a token requires a subject")
	}
	claims, err := c.claimsOf(p)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: c.Secrets[0]}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	if len(text) > maxToken {
		return "", fmt.Errorf("the token has %d bytes: at most %d are accepted", len(text), maxToken)
	}
	return text, nil
}

// claimsOf returns the claims of a token for p.
func (c TokenConfig) claimsOf(p *principal.Principal) (map[string]any, error) {
	more := map[string]json.RawMessage{}
	if p.Claims != nil {
		if err := json.Unmarshal(p.Claims, &more); err != nil {
			return nil, fmt.Errorf("the claims of a token must be a JSON object: %w", err)
		}
	}
	now := time.Now()
	expires := p.Expires
	if expires.IsZero() {
		expires = now.Add(signedFor)
	}
	rolesClaim := c.RolesClaim
	if rolesClaim == "" {
		rolesClaim = defaultRolesClaim
	}
	reserved := []string{"iss", "aud", "sub", "iat", "nbf", "exp", "scope", "scp", rolesClaim}
	claims := map[string]any{}
	for name, value := range more {
		if slices.Contains(reserved, name) {
			return nil, fmt.Errorf("the claim %s cannot be set by itself", name)
		}
		claims[name] = value
	}
	claims["iss"], claims["aud"], claims["sub"] = c.Issuer, c.Audience, p.Subject
	claims["iat"], claims["exp"] = jwt.NewNumericDate(now), jwt.NewNumericDate(expires)
	if len(p.Scopes) > 0 {
		claims["scope"] = strings.Join(p.Scopes, " ")
	}
	if len(p.Roles) > 0 {
		claims[rolesClaim] = p.Roles
	}
	return claims, nil
}
