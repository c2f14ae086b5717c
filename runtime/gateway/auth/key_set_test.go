package auth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/msctl/msctl/runtime/gateway"
)

// issuerServer is an issuer with an OpenID configuration and keys. Its methods are safe for
// concurrent use.
type issuerServer struct {
	*httptest.Server

	fetches atomic.Int64

	mu   sync.Mutex
	keys []jose.JSONWebKey
	down bool
	body string // instead of the keys
}

func newIssuer(t *testing.T) *issuerServer {
	t.Helper()
	i := &issuerServer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(asJSON(t, map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}))
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.fetches.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		switch {
		case i.down:
			http.Error(w, "down", http.StatusServiceUnavailable)
		case i.body != "":
			_, _ = w.Write([]byte(i.body))
		default:
			_, _ = w.Write(asJSON(t, jose.JSONWebKeySet{Keys: i.keys}))
		}
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuerServer) set(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

// rotate replaces the keys.
func (i *issuerServer) rotate(pairs map[string]keyPair) {
	i.set(func() {
		i.keys = nil
		for id, p := range pairs {
			i.keys = append(i.keys, jose.JSONWebKey{Key: p.public, KeyID: id, Algorithm: string(p.alg), Use: "sig"})
		}
	})
}

// clock is a time that a test sets. It is safe for concurrent use.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// over returns an authenticator that fetches the issuer's keys.
func (i *issuerServer) over(t *testing.T, discovery bool) (*Tokens, *clock) {
	t.Helper()
	config := TokenConfig{Issuer: i.URL, Audience: audience, HTTPClient: i.Client()}
	if !discovery {
		config.JWKS = i.URL + "/keys"
	}
	tokens, err := NewTokens(config)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{}
	tokens.now = c.now
	tokens.keys.(*keySet).now = c.now
	return tokens, c
}

func (i *issuerServer) token(t *testing.T, p keyPair, id string, subject string) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithHeader("kid", id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: p.alg, Key: p.private}, opts)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(asJSON(t, claims(map[string]any{"iss": i.URL, "sub": subject})))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestKeySet checks tokens while the issuer rotates its keys, is flooded, and is unavailable.
func TestKeySet(t *testing.T) {
	t.Parallel()
	for name, discovery := range map[string]bool{"discovery": true, "URL": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			first, second := newKeyPair(t, jose.ES256), newKeyPair(t, jose.EdDSA)
			i.set(func() { i.down = true })
			tokens, c := i.over(t, discovery)
			accepted := func(token string) error {
				_, err := tokens.Authenticate(withBearer(token))
				return err
			}
			if err := accepted(i.token(t, first, "1", "a")); !errors.Is(err, gateway.ErrAuthentication) {
				t.Fatalf("while the issuer has never been available: %v", err)
			}
			i.set(func() { i.down = false })
			i.rotate(map[string]keyPair{"1": first})
			c.advance(fetchAfterFailure)
			if err := accepted(i.token(t, first, "1", "b")); err != nil {
				t.Fatalf("after the issuer is available: %v", err)
			}

			before := i.fetches.Load()
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					for range 25 {
						if accepted(i.token(t, second, "made-up", "c")) == nil {
							t.Error("a token with an unknown key is accepted")
						}
					}
				})
			}
			all.Wait()
			if n := i.fetches.Load() - before; n > 1 {
				t.Errorf("500 unknown key IDs caused %d fetches", n)
			}

			i.rotate(map[string]keyPair{"1": first, "2": second})
			c.advance(fetchAfterAnswer)
			if err := accepted(i.token(t, second, "2", "d")); err != nil {
				t.Errorf("after a rotation: %v", err)
			}
			if err := accepted(i.token(t, first, "1", "e")); err != nil {
				t.Errorf("the key that is still published: %v", err)
			}
			if accepted(i.token(t, first, "2", "f")) == nil {
				t.Error("a key is used under the ID of another one")
			}

			i.set(func() { i.down = true })
			c.advance(2 * fetchAgain)
			if err := accepted(i.token(t, second, "2", "g")); err != nil {
				t.Errorf("while the issuer is unavailable again: %v", err)
			}
			await(t, tokens.keys.(*keySet))
			if err := accepted(i.token(t, second, "2", "h")); err != nil {
				t.Errorf("after a failed fetch: %v", err)
			}
			await(t, tokens.keys.(*keySet))
		})
	}
}

// await waits until no fetch is running.
func await(t *testing.T, s *keySet) {
	t.Helper()
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	if done != nil {
		<-done
	}
}

// TestHostileKeySets checks that no response of an issuer is accepted that could make the gateway
// slow or accept other keys.
func TestHostileKeySets(t *testing.T) {
	t.Parallel()
	p := newKeyPair(t, jose.ES256)
	good := string(asJSON(t, jose.JSONWebKey{Key: p.public, KeyID: "1"}))
	many := strings.Repeat(good+",", maxKeys)
	for name, body := range map[string]string{
		"not JSON":          "<html>",
		"no keys":           `{"keys":[]}`,
		"a shared secret":   `{"keys":[{"kty":"oct","kid":"1","k":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"}]}`,
		"a private key":     `{"keys":[` + string(asJSON(t, jose.JSONWebKey{Key: p.private, KeyID: "1"})) + `]}`,
		"for encryption":    `{"keys":[` + string(asJSON(t, jose.JSONWebKey{Key: p.public, KeyID: "1", Use: "enc"})) + `]}`,
		"another algorithm": `{"keys":[` + string(asJSON(t, jose.JSONWebKey{Key: p.public, KeyID: "1", Algorithm: "ES512"})) + `]}`,
		"too many":          `{"keys":[` + many + good + `]}`,
		"too large":         `{"keys":[` + good + `],"x":"` + strings.Repeat("x", maxKeySet) + `"}`,
		"deep":              strings.Repeat(`{"keys":[`, 20_000),
	} {
		i := newIssuer(t)
		i.set(func() { i.body = body })
		tokens, _ := i.over(t, false)
		if _, err := tokens.Authenticate(withBearer(i.token(t, p, "1", "a"))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestForeignKeys checks that an OpenID configuration cannot direct the gateway to keys without
// encryption.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"jwks_uri": "http://keys.example/"})
	}))
	defer server.Close()
	s, err := newKeySet(server.URL, true, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("%v", err)
	}
}
