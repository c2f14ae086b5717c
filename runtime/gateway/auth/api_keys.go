package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/principal"
)

// APIKeyHeader is the header that carries an API key.
const APIKeyHeader = "X-Api-Key"

// APIKey is a key that the gateway accepts. It contains only the key's hash, so a
// reader of the configuration cannot use the key.
type APIKey struct {
	// Name identifies the program that has the key: the Subject of its principal.
	Name string `json:"name"`
	// SHA256 is the hash of the key, in hexadecimal. NewAPIKey returns both.
	SHA256 string   `json:"sha256"`
	Scopes []string `json:"scopes,omitempty"`
	Roles  []string `json:"roles,omitempty"`
}

// NewAPIKey returns a new random key, which begins with prefix, and its hash. A prefix such as
// shop_live makes a leaked key recognizable.
func NewAPIKey(prefix string) (key, hash string) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	key = prefix + "_" + base64.RawURLEncoding.EncodeToString(random)
	return key, hashOf(key)
}

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// APIKeys authenticates callers by the header X-Api-Key. Its methods are safe for concurrent
// use.
type APIKeys struct {
	callers map[string]*principal.Principal
}

// NewAPIKeys returns an authenticator for keys. An error reports one without a name, an
// invalid hash, or two keys with the same name or hash.
func NewAPIKeys(list []APIKey) (*APIKeys, error) {
	a := &APIKeys{callers: map[string]*principal.Principal{}}
	names := map[string]bool{}
	for i, key := range list {
		hash := strings.ToLower(key.SHA256)
		if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size {
			return nil, fmt.Errorf("API key %d (%q): sha256 must be %d hexadecimal digits", i+1, key.Name, 2*sha256.Size)
		}
		if key.Name == "" {
			return nil, fmt.Errorf("API key %d has no name", i+1)
		}
		if a.callers[hash] != nil || names[key.Name] {
			return nil, fmt.Errorf("API key %d (%q): duplicate name or hash", i+1, key.Name)
		}
		names[key.Name] = true
		a.callers[hash] = &principal.Principal{Subject: key.Name, Scopes: key.Scopes, Roles: key.Roles}
	}
	return a, nil
}

// Scheme describes the keys in the OpenAPI document.
func (a *APIKeys) Scheme() (string, *huma.SecurityScheme) {
	return "apiKey", &huma.SecurityScheme{Type: "apiKey", In: "header", Name: APIKeyHeader, Description: "The key of a program. Unlike a token, it does not expire."}
}

// Authenticate returns the program that a request's key belongs to. Keys are random and looked
// up by their hash, so the time that it takes reveals nothing about a key.
func (a *APIKeys) Authenticate(req *http.Request) (*principal.Principal, error) {
	values := req.Header.Values(APIKeyHeader)
	switch {
	case len(values) == 0:
		return nil, gateway.ErrNoCredentials
	case len(values) > 1 || len(values[0]) > maxToken:
		return nil, errors.New("the API key is not valid")
	}
	caller := a.callers[hashOf(values[0])]
	if caller == nil {
		return nil, errors.New("the API key is not known")
	}
	return caller, nil
}

var _ gateway.Authenticator = (*APIKeys)(nil)
