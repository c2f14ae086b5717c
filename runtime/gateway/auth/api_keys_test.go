package auth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
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

// TestKeyTiming checks that a wrong key takes as long as another one, however much of it is right. The shortest of many interleaved
// measurements hardly depends on the load of the machine.
func TestKeyTiming(t *testing.T) {
	key, hash := NewAPIKey("shop")
	keys, err := NewAPIKeys([]APIKey{{Name: "machine", SHA256: hash}})
	if err != nil {
		t.Fatal(err)
	}
	almost, different := httptest.NewRequest("GET", "/", nil), httptest.NewRequest("GET", "/", nil)
	almost.Header.Set(APIKeyHeader, key[:len(key)-1]+"!")
	different.Header.Set(APIKeyHeader, "!"+key[1:])
	measure := func(req *http.Request) time.Duration {
		start := time.Now()
		for range 200 {
			if _, err := keys.Authenticate(req); err == nil {
				t.Fatal("a wrong key is accepted")
			}
		}
		return time.Since(start)
	}
	least := [2]time.Duration{time.Hour, time.Hour}
	for range 200 {
		least[0], least[1] = min(least[0], measure(almost)), min(least[1], measure(different))
	}
	if ratio := float64(least[0]) / float64(least[1]); ratio < 0.8 || ratio > 1.25 {
		t.Errorf("an almost right key takes %s, and a different one %s", least[0]/200, least[1]/200)
	}
}
