package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

const (
	leastSecret  = 32   // bytes of an HS256 secret
	leastRSABits = 2048 // of an RSA key
	mostRSABits  = 8192 // beyond it, checking a signature is slow
)

// secrets are the keys of HS256.
type secrets [][]byte

func newSecrets(list [][]byte) (secrets, error) {
	var s secrets
	for _, one := range list {
		if len(one) < leastSecret {
			return nil, fmt.Errorf("the secret for tokens has %d bytes: use at least %d, such as those of `openssl rand -hex 32`", len(one), leastSecret)
		}
		s = append(s, bytes.Clone(one))
	}
	return s, nil
}

func (secrets) algorithms() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.HS256} }

func (s secrets) find(context.Context, string, jose.SignatureAlgorithm) (all []any, err error) {
	for _, one := range s {
		all = append(all, one)
	}
	return all, nil
}

// publicKeys are fixed keys, each with the one algorithm that it is used with.
type publicKeys []publicKey

type publicKey struct {
	id  string // empty for a key that has none
	alg jose.SignatureAlgorithm
	key any
}

func newPublicKeys(documents [][]byte) (publicKeys, error) {
	var all publicKeys
	for _, document := range documents {
		block, _ := pem.Decode(document)
		if block == nil {
			return nil, errors.New("a public key for tokens is not a PEM document")
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a public key for tokens cannot be read (it must begin with BEGIN PUBLIC KEY): %w", err)
		}
		alg, err := algorithmOf(key)
		if err != nil {
			return nil, err
		}
		all = append(all, publicKey{alg: alg, key: key})
	}
	return all, nil
}

// algorithmOf returns the only algorithm that a key is used with.
func algorithmOf(key any) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < leastRSABits || bits > mostRSABits {
			return "", fmt.Errorf("an RSA key for tokens has %d bits: use %d to %d", bits, leastRSABits, mostRSABits)
		}
		return jose.RS256, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return jose.ES256, nil
		}
		return "", errors.New("a key for tokens is on another elliptic curve than P-256")
	case ed25519.PublicKey:
		return jose.EdDSA, nil
	}
	return "", fmt.Errorf("a key for tokens has the type %T: use RSA, P-256, or Ed25519", key)
}

func (p publicKeys) algorithms() []jose.SignatureAlgorithm {
	var all []jose.SignatureAlgorithm
	for _, k := range p {
		if !slices.Contains(all, k.alg) {
			all = append(all, k.alg)
		}
	}
	return all
}

func (p publicKeys) find(_ context.Context, id string, alg jose.SignatureAlgorithm) (all []any, err error) {
	for _, k := range p {
		if k.alg == alg && (k.id == "" || id == "" || k.id == id) {
			all = append(all, k.key)
		}
	}
	return all, nil
}
