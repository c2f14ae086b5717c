package testenv

import (
	"crypto/ed25519"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"
	"time"
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
	user := newNATSKey(tb, natsUser)
	return NATSLogin{Config: []string{fmt.Sprintf("authorization { users: [{nkey: %s}] }", user.public())}, Seed: user.seed()}
}

// NATSCreds returns a user with a JWT, who is accepted until expires.
func NATSCreds(tb testing.TB, expires time.Time) NATSLogin {
	tb.Helper()
	operator, account, user := newNATSKey(tb, natsOperator), newNATSKey(tb, natsAccount), newNATSKey(tb, natsUser)
	seed := user.seed()
	unlimited := map[string]any{"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1}
	operatorJWT := natsJWT(tb, operator, operator, map[string]any{"nats": map[string]any{"type": "operator", "version": 2}})
	accountJWT := natsJWT(tb, operator, account, map[string]any{"nats": map[string]any{"type": "account", "version": 2, "limits": unlimited}})
	userJWT := natsJWT(tb, account, user, map[string]any{
		"exp":  expires.Unix(),
		"nats": map[string]any{"type": "user", "version": 2, "pub": map[string]any{}, "sub": map[string]any{}, "subs": -1, "data": -1, "payload": -1},
	})
	return NATSLogin{
		Config: []string{"operator: " + operatorJWT, "resolver: MEMORY", fmt.Sprintf("resolver_preload: { %s: %s }", account.public(), accountJWT)},
		Seed:   seed,
		Creds: "-----BEGIN NATS USER JWT-----\n" + userJWT + "\n------END NATS USER JWT------\n\n" +
			"-----BEGIN USER NKEY SEED-----\n" + seed + "\n------END USER NKEY SEED------\n",
	}
}

// natsKey is a key pair of NATS. It is written here because a requirement of this package is one
// of every program on the runtime, whose build list the drivers' modules must not enter.
type natsKey struct {
	role byte
	key  ed25519.PrivateKey
}

// The roles of keys, which are the first letters of their text.
const (
	natsAccount  = 0       // A
	natsOperator = 14 << 3 // O
	natsUser     = 20 << 3 // U
	natsSeed     = 18 << 3 // S
)

func newNATSKey(tb testing.TB, role byte) natsKey {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return natsKey{role, key}
}

func (k natsKey) public() string {
	return natsText(append([]byte{k.role}, k.key[ed25519.SeedSize:]...))
}

func (k natsKey) seed() string {
	return natsText(append([]byte{natsSeed | k.role>>5, k.role << 3}, k.key.Seed()...))
}

// natsText appends a CRC-16 (XMODEM) and encodes the result in base32.
func natsText(b []byte) string {
	var crc uint16
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			if crc <<= 1; carry {
				crc ^= 0x1021
			}
		}
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(binary.LittleEndian.AppendUint16(b, crc))
}

// natsJWT returns a JWT as NATS servers verify it.
func natsJWT(tb testing.TB, issuer, subject natsKey, claims map[string]any) string {
	tb.Helper()
	claims["iss"], claims["sub"], claims["iat"], claims["jti"], claims["name"] = issuer.public(), subject.public(), time.Now().Unix(), "test", "test"
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"typ":"JWT","alg":"ed25519-nkey"}`)) + "." + encode(payload)
	return text + "." + encode(ed25519.Sign(issuer.key, []byte(text)))
}
