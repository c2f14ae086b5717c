package principal

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newKey(t *testing.T, secret string, previous ...string) *Key {
	t.Helper()
	var all [][]byte
	for _, p := range previous {
		all = append(all, []byte(p))
	}
	k, err := NewKey([]byte(secret), all...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var (
	first  = strings.Repeat("1", 32)
	second = strings.Repeat("2", 32)
)

func alice() *Principal {
	return &Principal{
		Subject: "alice", Issuer: "https://login.example", Scopes: []string{"items:read", "items:write"}, Roles: []string{"admin"},
		Claims: json.RawMessage(`{"sub":"alice","team":"é"}`), Expires: time.Unix(2_000_000_000, 0),
	}
}

func sign(t *testing.T, k *Key, p *Principal) string {
	t.Helper()
	signed, err := k.Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestSignAndVerify(t *testing.T) {
	k := newKey(t, first)
	for _, want := range []*Principal{alice(), {Subject: "a program"}, {}} {
		got, err := k.Verify(sign(t, k, want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestForged checks that nothing is accepted but what the key has signed, byte for byte.
func TestForged(t *testing.T) {
	k := newKey(t, first)
	good := sign(t, k, alice())
	forged := []string{"", ".", "..", "...", good + ".", "." + good, good + "=", good + "\n", strings.ToLower(good), sign(t, newKey(t, second), alice())}
	_, rest, _ := strings.Cut(good, ".")
	body, _, _ := strings.Cut(rest, ".")
	for _, h := range []string{`{"alg":"none","typ":"JWT"}`, `{"alg":"HS512","typ":"JWT"}`, `{"typ":"JWT","alg":"HS256"}`} {
		encoded := base64.RawURLEncoding.EncodeToString([]byte(h))
		forged = append(forged, encoded+"."+body+".", encoded+"."+rest,
			encoded+"."+body+"."+signatureOf(encoded+"."+body, k.secret))
	}
	for i := range good {
		b := []byte(good)
		b[i] ^= 1
		forged = append(forged, string(b), good[:i], good[:i]+good[i+1:])
	}
	forged = append(forged, encodedHeader+strings.Repeat("A", maxToken)+".AA")
	for _, f := range forged {
		if p, err := k.Verify(f); err == nil {
			t.Errorf("%q is accepted: %+v", f, p)
		}
	}
}

func TestLifetime(t *testing.T) {
	issued := time.Unix(1_000_000, 0)
	k := newKey(t, first).WithLifetime(time.Minute).WithLifetime(0)
	now := issued
	k.now = func() time.Time { return now }
	signed := sign(t, k, alice())
	for _, c := range []struct {
		at   time.Duration
		want bool
	}{{0, true}, {time.Minute, true}, {time.Minute + skew, true}, {time.Minute + skew + time.Second, false}, {-skew, true}, {-skew - time.Second, false}} {
		now = issued.Add(c.at)
		if _, err := k.Verify(signed); (err == nil) != c.want {
			t.Errorf("%v after it was signed: %v", c.at, err)
		}
	}
}

func TestRotation(t *testing.T) {
	before, during, after := newKey(t, first), newKey(t, second, first), newKey(t, second)
	if _, err := during.Verify(sign(t, before, alice())); err != nil {
		t.Error(err)
	}
	if _, err := after.Verify(sign(t, during, alice())); err != nil {
		t.Error(err)
	}
	if _, err := after.Verify(sign(t, before, alice())); err == nil {
		t.Error("the previous secret is still accepted")
	}
}

func TestLimits(t *testing.T) {
	for _, secrets := range [][]string{{""}, {first[1:]}, {first, "short"}} {
		var previous [][]byte
		for _, s := range secrets[1:] {
			previous = append(previous, []byte(s))
		}
		if _, err := NewKey([]byte(secrets[0]), previous...); err == nil || !strings.Contains(err.Error(), "openssl rand -hex 32") {
			t.Errorf("%q: %v", secrets, err)
		}
	}
	big := alice()
	big.Claims = json.RawMessage(`"` + strings.Repeat("x", maxToken) + `"`)
	broken := alice()
	broken.Claims = json.RawMessage(`{`)
	for _, p := range []*Principal{big, broken} {
		if _, err := newKey(t, first).Sign(p); err == nil {
			t.Errorf("%.40s is signed", p.Claims)
		}
	}
}

func TestHas(t *testing.T) {
	var nobody *Principal
	for _, c := range []struct {
		name      string
		got, want bool
	}{
		{"all scopes", alice().HasScopes("items:read", "items:write"), true},
		{"one missing", alice().HasScopes("items:read", "orders:read"), false},
		{"no scope needed", alice().HasScopes(), true},
		{"anonymous", nobody.HasScopes(), false},
		{"a role", alice().HasAnyRole("owner", "admin"), true},
		{"no such role", alice().HasAnyRole("owner"), false},
		{"anonymous role", nobody.HasAnyRole("admin"), false},
		{"prefix of a scope", alice().HasScopes("items"), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", c.name, c.got)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	k, err := NewKey([]byte(first))
	if err != nil {
		b.Fatal(err)
	}
	signed, err := k.Sign(alice())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := k.Verify(signed); err != nil {
			b.Fatal(err)
		}
	}
}
