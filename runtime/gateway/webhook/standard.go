package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/msctl/msctl/runtime/gateway"
)

// minStandardKey is the least length of a key that Standard Webhooks allows, in bytes.
const minStandardKey = 24

type standard struct{ keys []*standardwebhooks.Webhook }

// Standard returns a verifier for senders that follow the Standard Webhooks specification, with
// symmetric signatures (v1). A secret is base64 with or without the prefix "whsec_", and has at
// least 24 bytes. The ID of a webhook is its header webhook-id.
func Standard(secrets ...string) (gateway.Verifier, error) {
	if len(secrets) == 0 {
		return nil, errNoSecret
	}
	s := &standard{}
	for i, secret := range secrets {
		// The library accepts an empty key, with which any program could sign.
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(secret), "whsec_"))
		if err != nil {
			return nil, fmt.Errorf("webhook secret %d is not base64", i+1) // err would show a part of it
		}
		if len(key) < minStandardKey {
			return nil, fmt.Errorf("webhook secret %d is %d bytes long: at least %d are required", i+1, len(key), minStandardKey)
		}
		verifier, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, fmt.Errorf("webhook secret %d: %w", i+1, err)
		}
		s.keys = append(s.keys, verifier)
	}
	return s, nil
}

func (s *standard) Scheme() (string, *huma.SecurityScheme) {
	return "standardWebhooks", &huma.SecurityScheme{
		Type: "apiKey", In: "header", Name: standardwebhooks.HeaderWebhookSignature,
		Description: "A signature of webhook-id, webhook-timestamp, and the body, as Standard Webhooks specifies.",
	}
}

func (s *standard) Verify(header http.Header, body []byte) (gateway.Delivery, error) {
	var texts [3]string
	for i, name := range []string{standardwebhooks.HeaderWebhookID, standardwebhooks.HeaderWebhookTimestamp, standardwebhooks.HeaderWebhookSignature} {
		var err error
		if texts[i], err = value(header, name); err != nil {
			return gateway.Delivery{}, err
		}
	}
	id, timestamp, signatures := texts[0], texts[1], texts[2]
	sent, err := seconds(timestamp)
	if err = errors.Join(err, checkID(id)); err != nil {
		return gateway.Delivery{}, err
	}
	// The library would compare any number of signatures.
	if strings.Count(signatures, " ") >= maxSignatures {
		return gateway.Delivery{}, errors.New("there are too many signatures")
	}
	valid := false
	for _, key := range s.keys {
		// The gateway checks the time, with the tolerance of the route.
		if key.VerifyIgnoringTimestamp(body, header) == nil {
			valid = true
		}
	}
	if !valid {
		return gateway.Delivery{}, errSignature
	}
	return gateway.Delivery{ID: id, Sent: sent}, nil
}
