package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/msctl/msctl/runtime/gateway"
)

const (
	// fetchAfterAnswer and fetchAfterFailure are the shortest times between two fetches, so
	// that tokens with invented key IDs cannot make the gateway flood the issuer.
	fetchAfterAnswer  = 10 * time.Second
	fetchAfterFailure = time.Second
	// fetchAgain is when known keys are fetched again, in the background.
	fetchAgain = 10 * time.Minute
	// fetchTimeout, maxKeySet (bytes), and maxKeys limit a fetch.
	fetchTimeout = 5 * time.Second
	maxKeySet    = 1 << 20
	maxKeys      = 100
)

// keySet are the keys of an issuer, fetched from a URL. Keys stay valid while the issuer is
// unavailable, and a token with a known key never waits for a fetch. It is safe for concurrent
// use.
type keySet struct {
	url       string
	discovery bool // url is an OpenID configuration that names the URL of the keys
	client    *http.Client
	now       func() time.Time

	mu    sync.Mutex // guards the fields below
	known publicKeys
	at    time.Time     // when the last fetch ended
	err   error         // of the last fetch
	done  chan struct{} // closed when the running fetch has ended; nil without one
}

func newKeySet(address string, discovery bool, client *http.Client) (*keySet, error) {
	if err := secure(address); err != nil {
		return nil, err
	}
	if client == nil {
		client = &http.Client{
			Timeout:       fetchTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &keySet{url: address, discovery: discovery, client: client, now: time.Now}, nil
}

// secure rejects URLs from which an attacker in the network could deliver keys.
func secure(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("the URL of the keys is not valid: %q", address)
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return fmt.Errorf("the keys must come over https, not from %s", u.Redacted())
	}
	return nil
}

// algorithms are those of public keys: a shared secret never comes from a URL.
func (s *keySet) algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}
}

func (s *keySet) find(ctx context.Context, id string, alg jose.SignatureAlgorithm) ([]any, error) {
	s.mu.Lock()
	found := s.matching(id, alg)
	now := s.now()
	switch {
	case len(found) > 0 && now.Sub(s.at) < fetchAgain:
		s.mu.Unlock()
		return found, nil
	case len(found) > 0:
		s.begin(now) // in the background
		s.mu.Unlock()
		return found, nil
	}
	done := s.begin(now)
	s.mu.Unlock()
	if done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", gateway.ErrAuthentication, ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found = s.matching(id, alg)
	if len(found) == 0 && s.known == nil && s.err != nil {
		return nil, fmt.Errorf("%w: %w", gateway.ErrAuthentication, s.err)
	}
	return found, nil
}

func (s *keySet) matching(id string, alg jose.SignatureAlgorithm) []any {
	found, _ := s.known.find(context.Background(), id, alg) // known keys are found without an error
	return found
}

// begin starts a fetch unless one is running or the last one is too recent. It returns the
// channel that is closed when the running fetch ends, or nil if there is none. The caller holds
// the lock.
func (s *keySet) begin(now time.Time) <-chan struct{} {
	if s.done != nil {
		return s.done
	}
	least := fetchAfterAnswer
	if s.err != nil {
		least = fetchAfterFailure
	}
	if !s.at.IsZero() && now.Sub(s.at) < least {
		return nil
	}
	done := make(chan struct{})
	s.done = done
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		keys, err := s.fetch(ctx)
		s.mu.Lock()
		if s.err = err; err == nil {
			s.known = keys
		}
		s.at, s.done = s.now(), nil
		s.mu.Unlock()
		close(done)
	}()
	return done
}

// fetch returns the issuer's keys.
func (s *keySet) fetch(ctx context.Context) (publicKeys, error) {
	address := s.url
	if s.discovery {
		var config struct {
			JWKS string `json:"jwks_uri"`
		}
		if err := s.get(ctx, address, &config); err != nil {
			return nil, err
		}
		if err := secure(config.JWKS); err != nil {
			return nil, err
		}
		address = config.JWKS
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.get(ctx, address, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the issuer has %d keys, and at most %d are read", len(set.Keys), maxKeys)
	}
	all := publicKeys{}
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(text, &key) != nil || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue // of a kind that is not for signatures, or that we do not know
		}
		alg, err := algorithmOf(key.Key)
		if err != nil || key.Algorithm != "" && key.Algorithm != string(alg) {
			continue
		}
		all = append(all, publicKey{key.KeyID, alg, key.Key})
	}
	if len(all) == 0 {
		return nil, errors.New("the issuer has no key for RS256, ES256, or EdDSA")
	}
	return all, nil
}

func (s *keySet) get(ctx context.Context, address string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch the issuer's keys: %s from %s", resp.Status, address)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	if len(body) > maxKeySet {
		return fmt.Errorf("fetch the issuer's keys: the response of %s is larger than %d bytes", address, maxKeySet)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("fetch the issuer's keys: the response of %s is not the expected JSON", address)
	}
	return nil
}
