package auth

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/principal"
)

// TestSign checks that a signed token names the caller, and that only its own configuration
// accepts it.
func TestSign(t *testing.T) {
	t.Parallel()
	config := TokenConfig{Issuer: issuer, Audience: audience, Secrets: [][]byte{secret, []byte(strings.Repeat("p", 32))}, RolesClaim: "https://shop.example/roles"}
	text, err := config.Sign(&principal.Principal{
		Subject: "ada", Issuer: "ignored", Scopes: []string{"items:read", "items:write"}, Roles: []string{"admin"}, Claims: json.RawMessage(`{"team":7}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	other := map[string]TokenConfig{
		"another secret":   {Issuer: issuer, Audience: audience, Secrets: config.Secrets[1:]},
		"another issuer":   {Issuer: "x", Audience: audience, Secrets: config.Secrets},
		"another audience": {Issuer: issuer, Audience: "x", Secrets: config.Secrets},
	}
	for name, c := range other {
		if p, err := authenticate(t, c, text); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	got, err := authenticate(t, config, text)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(got.Expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("the token ends in %v, not in an hour", left)
	}
	var claims map[string]any
	if err := json.Unmarshal(got.Claims, &claims); err != nil || claims["team"] != 7.0 {
		t.Errorf("claims %s, %v", got.Claims, err)
	}
	got.Claims, got.Expires = nil, time.Time{}
	want := &principal.Principal{Subject: "ada", Issuer: issuer, Scopes: []string{"items:read", "items:write"}, Roles: []string{"admin"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	expired, err := config.Sign(&principal.Principal{Subject: "ada", Expires: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authenticate(t, config, expired); err == nil {
		t.Error("an expired token is accepted")
	}
}

func authenticate(t *testing.T, config TokenConfig, text string) (*principal.Principal, error) {
	t.Helper()
	tokens, err := NewTokens(config)
	if err != nil {
		t.Fatal(err)
	}
	return tokens.Authenticate(&http.Request{Header: http.Header{"Authorization": {"Bearer " + text}}})
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	config := TokenConfig{Issuer: issuer, Audience: audience, Secrets: [][]byte{secret}}
	for name, c := range map[string]struct {
		config TokenConfig
		caller principal.Principal
		want   string
	}{
		"no secret":       {TokenConfig{Issuer: "https://login.example", Audience: audience}, principal.Principal{Subject: "ada"}, "requires a secret"},
		"no audience":     {TokenConfig{Issuer: issuer, Secrets: [][]byte{secret}}, principal.Principal{Subject: "ada"}, "require an issuer and an audience"},
		"no subject":      {config, principal.Principal{}, "requires a subject"},
		"claims":          {config, principal.Principal{Subject: "ada", Claims: json.RawMessage(`[]`)}, "must be a JSON object"},
		"a claim of ours": {config, principal.Principal{Subject: "ada", Claims: json.RawMessage(`{"exp":1}`)}, "the claim exp cannot"},
		"roles":           {config, principal.Principal{Subject: "ada", Claims: json.RawMessage(`{"roles":["admin"]}`)}, "the claim roles cannot"},
		"too long":        {config, principal.Principal{Subject: strings.Repeat("a", maxToken)}, "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if text, err := c.config.Sign(&c.caller); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, %v, want %q", text, err, c.want)
			}
		})
	}
}
