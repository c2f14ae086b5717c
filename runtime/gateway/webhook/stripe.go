package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
)

const stripeHeader = "Stripe-Signature"

type stripe struct{ keys [][]byte }

// Stripe returns a verifier for Stripe's webhooks, with the header Stripe-Signature and its scheme
// v1. A secret is the signing secret of the endpoint with its prefix "whsec_". The ID of a webhook
// is that of its event, which is the same when Stripe sends the event again.
func Stripe(secrets ...string) (gateway.Verifier, error) {
	keys, err := keysOf(secrets)
	if err != nil {
		return nil, err
	}
	return &stripe{keys}, nil
}

func (s *stripe) Scheme() (string, *huma.SecurityScheme) {
	return "stripeWebhooks", &huma.SecurityScheme{
		Type: "apiKey", In: "header", Name: stripeHeader,
		Description: "A timestamp and a signature of it and the body: `t=…,v1=…`.",
	}
}

func (s *stripe) Verify(header http.Header, body []byte) (gateway.Delivery, error) {
	text, err := value(header, stripeHeader)
	if err != nil {
		return gateway.Delivery{}, err
	}
	timestamp, signatures, err := stripeParts(text)
	if err != nil {
		return gateway.Delivery{}, err
	}
	sent, err := seconds(timestamp)
	if err != nil {
		return gateway.Delivery{}, err
	}
	if !signs(signatures, s.keys, sha256.New, hex.EncodeToString, func(mac hash.Hash) {
		mac.Write([]byte(timestamp + "."))
		mac.Write(body)
	}) {
		return gateway.Delivery{}, errSignature
	}
	var event struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(body, &event) != nil { // the gateway rejects it
		event.ID = ""
	}
	return gateway.Delivery{ID: event.ID, Sent: sent}, nil
}

// stripeParts returns the timestamp and the signatures of a header. Other schemes than v1 are for
// Stripe's tests.
func stripeParts(text string) (timestamp string, signatures []string, err error) {
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case name == "t" && timestamp != "":
			return "", nil, errors.New("there are several timestamps")
		case name == "t":
			timestamp = value
		case name == "v1":
			signatures = append(signatures, value)
		}
	}
	if len(signatures) > maxSignatures {
		return "", nil, errors.New("there are too many signatures")
	}
	return timestamp, signatures, nil
}
