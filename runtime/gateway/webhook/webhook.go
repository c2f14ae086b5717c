// Package webhook verifies the signatures of webhooks, for gateway.Webhook: those of
// Standard Webhooks ([Standard]), GitHub ([GitHub]), Stripe ([Stripe]), and other senders that
// sign with an HMAC ([HMAC]).
//
//	payments, err := webhook.Standard(os.Getenv("PAYMENTS_WEBHOOK_SECRET"))
//	gateway.Webhook(gw, "POST /webhooks/payments", client, PaymentSucceeded, payments)
//
// Each verifier accepts several secrets, so that one can be replaced without losing webhooks:
// add the new secret, let the sender use it, and remove the old one.
//
// A verifier checks only the signature. The gateway rejects webhooks that are late or replayed.
package webhook

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	minSecret     = 16   // bytes
	maxHeader     = 2048 // bytes of a header that takes part in the verification
	maxSignatures = 8
	maxID         = 128 // bytes
)

var errSignature = errors.New("the signature is not valid")

// keysOf returns the keys of secrets that are used as they are, without the space around them
// that a file has at its end.
func keysOf(secrets []string) ([][]byte, error) {
	keys := make([][]byte, len(secrets))
	for i, secret := range secrets {
		keys[i] = []byte(strings.TrimSpace(secret))
		if len(keys[i]) < minSecret {
			return nil, fmt.Errorf("webhook secret %d is %d bytes long: at least %d are required", i+1, len(keys[i]), minSecret)
		}
	}
	if len(keys) == 0 {
		return nil, errNoSecret
	}
	return keys, nil
}

var errNoSecret = errors.New("a webhook requires a secret")

// signs reports whether one of the signatures is that of a text under one of the keys. It
// compares all of them, each in constant time, and as text: decoding would accept several
// spellings of the same signature.
func signs(signatures []string, keys [][]byte, algorithm func() hash.Hash, encode func([]byte) string, write func(hash.Hash)) bool {
	valid := false
	for _, key := range keys {
		mac := hmac.New(algorithm, key)
		write(mac)
		expected := []byte(encode(mac.Sum(nil)))
		for _, signature := range signatures {
			if hmac.Equal([]byte(signature), expected) {
				valid = true
			}
		}
	}
	return valid
}

// value returns the value of a header that a request must have exactly once.
func value(header http.Header, name string) (string, error) {
	values := header.Values(name)
	switch {
	case len(values) == 0 || values[0] == "":
		return "", fmt.Errorf("the header %s is missing", name)
	case len(values) > 1:
		return "", fmt.Errorf("the header %s is sent several times", name)
	case len(values[0]) > maxHeader:
		return "", fmt.Errorf("the header %s is too long", name)
	}
	return values[0], nil
}

// seconds reads a time in seconds since 1970. Only one spelling of a number is accepted.
func seconds(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 || strconv.FormatInt(n, 10) != text {
		return time.Time{}, errors.New("the timestamp is not a number of seconds")
	}
	return time.Unix(n, 0), nil
}

// checkID returns an error unless an ID is printable ASCII without dots and colons, which separate
// the parts of the signed text.
func checkID(id string) error {
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' || c == '.' || c == ':' }) {
		return errors.New("the ID is not valid")
	}
	return nil
}
