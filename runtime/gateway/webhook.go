package gateway

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Verifier recognizes the sender of webhooks by its signature. Package webhook has those for
// common senders. Its methods are called concurrently.
type Verifier interface {
	// Verify checks the signature of a webhook, whose body is as it was sent. With an error,
	// the webhook is rejected with status 401; the error is logged and never sent.
	Verify(header http.Header, body []byte) (Delivery, error)
	// Scheme names and describes the signature in the OpenAPI document.
	Scheme() (name string, scheme *huma.SecurityScheme)
}

// Delivery is a webhook whose signature is valid.
type Delivery struct {
	// ID identifies the event, and is the same when the sender sends the event again. It must
	// be signed. Empty means that only its body and Sent identify the webhook.
	ID string
	// Sent is when the sender signed the webhook; zero if it does not sign a time.
	Sent time.Time
	// Metadata is added to that of the message. Values that are not safe for logs are
	// dropped.
	Metadata map[string]string
}
