package parity_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash"
	"maps"
	"time"
)

// token returns the header line of a JSON Web Token, with some members of a good one replaced; nil removes a member.
func token(changes map[string]any) string {
	return "Authorization: Bearer " + signed("HS256", secret, changes)
}

func signed(alg, key string, changes map[string]any) string {
	claims := map[string]any{
		"iss": issuer, "aud": audience, "sub": "alice", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "roles": []string{"user"},
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	text := part(map[string]any{"alg": alg, "typ": "JWT"}) + "." + part(claims)
	hashes := map[string]func() hash.Hash{"HS256": sha256.New}
	if hashes[alg] == nil {
		return text + "."
	}
	mac := hmac.New(hashes[alg], []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// part returns JSON as a part of a token.
func part(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
