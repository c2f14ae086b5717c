// Package auth authenticates the callers of a gateway: by JSON Web Tokens ([Tokens]) and by API
// keys ([APIKeys]).
//
//	tokens, err := auth.NewTokens(auth.TokenConfig{
//		Issuer: "https://login.example", Audience: "shop", // the keys come from the issuer's OpenID configuration
//	})
//	gw := gateway.New("shop", gateway.WithAuthentication(tokens))
package auth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/msctl/msctl/runtime/gateway"
)

// maxToken limits a token, in bytes. A larger one is rejected before it is parsed.
const maxToken = 8 << 10

// bearer returns the token of a request. A token in the URL is not accepted: URLs are logged.
func bearer(req *http.Request) (string, error) {
	values := req.Header.Values("Authorization")
	if len(values) == 0 {
		return "", gateway.ErrNoCredentials
	}
	if len(values) > 1 {
		return "", errors.New("several Authorization headers")
	}
	kind, token, _ := strings.Cut(values[0], " ")
	switch {
	case !strings.EqualFold(kind, "Bearer"):
		return "", errors.New("the scheme of the Authorization header is not Bearer")
	case token == "":
		return "", errors.New("the bearer token is empty")
	case len(token) > maxToken:
		return "", errors.New("the token is too long")
	}
	return token, nil
}
