package testenv

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
)

// NATSLogin is a user with a key pair in place of a password.
type NATSLogin struct {
	Config []string // the lines with which a NATS server accepts the user
	Seed   string   // the user's nkey
	Creds  string   // the contents of the user's .creds file; "" for a user of an nkey
}

// NATSKey returns a user with an nkey.
func NATSKey(tb testing.TB) NATSLogin {
	tb.Helper()
	user, seed := newKey(tb, nkeys.CreateUser)
	return NATSLogin{Config: []string{fmt.Sprintf("authorization { users: [{nkey: %s}] }", publicKey(tb, user))}, Seed: seed}
}

// NATSCreds returns a user with a JWT, who is accepted until expires.
func NATSCreds(tb testing.TB, expires time.Time) NATSLogin {
	tb.Helper()
	operator, _ := newKey(tb, nkeys.CreateOperator)
	account, _ := newKey(tb, nkeys.CreateAccount)
	user, seed := newKey(tb, nkeys.CreateUser)
	unlimited := map[string]any{"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1}
	operatorJWT := natsJWT(tb, operator, operator, map[string]any{"nats": map[string]any{"type": "operator", "version": 2}})
	accountJWT := natsJWT(tb, operator, account, map[string]any{"nats": map[string]any{"type": "account", "version": 2, "limits": unlimited}})
	userJWT := natsJWT(tb, account, user, map[string]any{
		"exp":  expires.Unix(),
		"nats": map[string]any{"type": "user", "version": 2, "pub": map[string]any{}, "sub": map[string]any{}, "subs": -1, "data": -1, "payload": -1},
	})
	return NATSLogin{
		Config: []string{"operator: " + operatorJWT, "resolver: MEMORY", fmt.Sprintf("resolver_preload: { %s: %s }", publicKey(tb, account), accountJWT)},
		Seed:   seed,
		Creds: "-----BEGIN NATS USER JWT-----\n" + userJWT + "\n------END NATS USER JWT------\n\n" +
			"-----BEGIN USER NKEY SEED-----\n" + seed + "\n------END USER NKEY SEED------\n",
	}
}

func newKey(tb testing.TB, create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	tb.Helper()
	key, err := create()
	if err != nil {
		tb.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		tb.Fatal(err)
	}
	return key, string(seed)
}

func publicKey(tb testing.TB, key nkeys.KeyPair) string {
	tb.Helper()
	public, err := key.PublicKey()
	if err != nil {
		tb.Fatal(err)
	}
	return public
}

// natsJWT returns a JWT as NATS servers verify it.
func natsJWT(tb testing.TB, issuer, subject nkeys.KeyPair, claims map[string]any) string {
	tb.Helper()
	claims["iss"], claims["sub"], claims["iat"], claims["jti"], claims["name"] = publicKey(tb, issuer), publicKey(tb, subject), time.Now().Unix(), "test", "test"
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"typ":"JWT","alg":"ed25519-nkey"}`)) + "." + encode(payload)
	signature, err := issuer.Sign([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + encode(signature)
}
