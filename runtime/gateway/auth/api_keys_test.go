package auth

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	key, hash := NewAPIKey("shop_live")
	other, _ := NewAPIKey("shop_live")
	if !strings.HasPrefix(key, "shop_live_") || len(key) < 50 || key == other {
		t.Errorf("%q and %q", key, other)
	}
	keys, err := NewAPIKeys([]APIKey{{Name: "ci", SHA256: strings.ToUpper(hash), Scopes: []string{"items:read"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		values []string
		want   string // the subject, or empty
	}{
		{"good", []string{key}, "ci"},
		{"none", nil, ""},
		{"empty", []string{""}, ""},
		{"other", []string{other}, ""},
		{"the hash", []string{hash}, ""},
		{"a prefix", []string{key[:len(key)-1]}, ""},
		{"a space", []string{key + " "}, ""},
		{"twice", []string{key, key}, ""},
		{"huge", []string{strings.Repeat("x", maxToken+1)}, ""},
	} {
		req := httptest.NewRequest("GET", "/?api_key="+key, nil)
		if c.values != nil {
			req.Header[APIKeyHeader] = c.values
		}
		got, err := keys.Authenticate(req)
		if (err == nil) != (c.want != "") || got != nil && (got.Subject != c.want || !got.HasScopes("items:read")) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	for name, list := range map[string][]APIKey{
		"no name":   {{SHA256: hash}},
		"no hash":   {{Name: "a"}},
		"the key":   {{Name: "a", SHA256: key}},
		"same name": {{Name: "a", SHA256: hash}, {Name: "a", SHA256: hashOf("x")}},
		"same hash": {{Name: "a", SHA256: hash}, {Name: "b", SHA256: hash}},
	} {
		if _, err := NewAPIKeys(list); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
