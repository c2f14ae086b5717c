package attack_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"time"
)

const (
	issuer      = "https://login.example"
	otherIssuer = "https://other.example"
	audience    = "shop"
	cup         = `{"name":"Cup","price":9.99}`
)

var secret = strings.Repeat("a-secret-", 4)

func header(alg string) map[string]any { return map[string]any{"alg": alg, "typ": "JWT"} }

// claims returns those of a good token with some members replaced; nil removes a member.
func claims(changes map[string]any) map[string]any {
	all := map[string]any{
		"iss": issuer, "aud": audience, "sub": "alice", "scope": "items:write",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func unsigned(header, claims map[string]any) string { return part(header) + "." + part(claims) }

func part(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of plain values
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func hs256(key string, header, claims map[string]any) string {
	text := unsigned(header, claims)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func rs256(key *rsa.PrivateKey, header, claims map[string]any) string {
	text := unsigned(header, claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // a key of the right size
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// publicPEM returns a public key as an attacker finds it.
func publicPEM(key *rsa.PrivateKey) string {
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// jwk returns a public key as a JSON Web Key.
func jwk(key *rsa.PrivateKey, id string) map[string]any {
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]any{"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
}
