package attack_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// evilIssuer is an issuer of RSA keys that an attacker takes over.
type evilIssuer struct {
	key     *rsa.PrivateKey
	url     string
	bombs   atomic.Pointer[func(io.Writer)] // what it answers instead of its keys
	fetches atomic.Int64
}

func startIssuer(t *testing.T) *evilIssuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &evilIssuer{key: key}
	keys, err := json.Marshal(map[string]any{"keys": []any{jwk(key, "one")}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.fetches.Add(1)
		if bomb := i.bombs.Load(); bomb != nil {
			(*bomb)(w)
			return
		}
		_, _ = w.Write(keys) // the gateway may have gone
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// token returns a token of the issuer.
func (i *evilIssuer) token(id string, changes map[string]any) string {
	all := map[string]any{"iss": otherIssuer}
	maps.Copy(all, changes)
	return rs256(i.key, map[string]any{"alg": "RS256", "kid": id}, claims(all))
}

// endless is a key set that does not end.
func endless(w io.Writer) {
	_, err := io.WriteString(w, `{"keys":[`)
	for n := 0; err == nil; n++ {
		_, err = fmt.Fprintf(w, `{"kty":"RSA","kid":"%d","n":"%s","e":"AQAB"},`, n, strings.Repeat("A", 1000))
	}
}

// nested is a key set of 100,000 levels.
func nested(w io.Writer) {
	_, _ = io.WriteString(w, `{"keys":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`}`) // the gateway may have gone
}
