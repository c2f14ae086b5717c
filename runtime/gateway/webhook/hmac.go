package webhook

import (
	"cmp"
	"crypto"
	_ "crypto/sha256" // SHA-256
	_ "crypto/sha512" // SHA-384 and SHA-512
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
)

// Encoding is how a signature is written in its header.
type Encoding int

const (
	Hex    Encoding = iota // in lower case
	Base64                 // with padding
)

// HMACConfig describes how a sender signs its webhooks. Only Header is required.
type HMACConfig struct {
	// Name identifies the sender in the OpenAPI document. The default is "webhook".
	Name string
	// Header carries the signature, after Prefix, such as "sha256=".
	Header, Prefix string
	// Hash is crypto.SHA256, which is the default, SHA384, or SHA512.
	Hash     crypto.Hash
	Encoding Encoding
	// TimestampHeader carries the time of sending, in seconds since 1970. Without one, a
	// webhook never becomes late, and the gateway recognizes a replay for a day.
	TimestampHeader string
	// IDHeader carries the ID of the event, which is the same when the sender sends it again.
	IDHeader string
	// Signed is the text that the sender signs, with {timestamp}, {id}, and {body} for its
	// parts. The default is "{body}", or "{timestamp}.{body}" with TimestampHeader.
	Signed string
	// Metadata lists headers that become metadata of the message, under their names in lower
	// case. They are not signed: a program that replays the webhook can change them.
	Metadata []string
}

type signed struct {
	HMACConfig

	keys   [][]byte
	encode func([]byte) string
}

// HMAC returns a verifier for senders that sign the body of a webhook with a common secret. A
// secret has at least 16 bytes. An error reports a configuration that would leave the timestamp
// or the ID unsigned.
func HMAC(c HMACConfig, secrets ...string) (gateway.Verifier, error) {
	keys, err := keysOf(secrets)
	if err != nil {
		return nil, err
	}
	c.Name = cmp.Or(c.Name, "webhook")
	c.Hash = cmp.Or(c.Hash, crypto.SHA256)
	if c.Signed == "" {
		c.Signed = "{body}"
		if c.TimestampHeader != "" {
			c.Signed = "{timestamp}.{body}"
		}
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("webhook %s: %w", c.Name, err)
	}
	encode := hex.EncodeToString
	if c.Encoding == Base64 {
		encode = base64.StdEncoding.EncodeToString
	}
	return &signed{c, keys, encode}, nil
}

func (c *HMACConfig) check() error {
	switch {
	case c.Header == "":
		return errors.New("the header of the signature is required")
	case !slices.Contains([]crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}, c.Hash):
		return fmt.Errorf("the hash %v is not supported: use SHA-256, SHA-384, or SHA-512", c.Hash)
	case !strings.Contains(c.Signed, "{body}"):
		return errors.New("the signed text must contain {body}")
	case strings.Contains(c.Signed, "{timestamp}") != (c.TimestampHeader != ""):
		return errors.New("the signed text must contain {timestamp} if, and only if, there is a header for it")
	case strings.Contains(c.Signed, "{id}") != (c.IDHeader != ""):
		return errors.New("the signed text must contain {id} if, and only if, there is a header for it")
	}
	return nil
}

// GitHub returns a verifier for GitHub's webhooks, with the header X-Hub-Signature-256. A webhook
// must have the content type application/json. GitHub signs neither a time nor an ID, so the hash
// of the body is the ID. X-GitHub-Event and X-GitHub-Delivery, which are not signed, become
// metadata.
func GitHub(secrets ...string) (gateway.Verifier, error) {
	return HMAC(HMACConfig{
		Name: "githubWebhooks", Header: "X-Hub-Signature-256", Prefix: "sha256=",
		Metadata: []string{"X-GitHub-Event", "X-GitHub-Delivery"},
	}, secrets...)
}

func (s *signed) Scheme() (string, *huma.SecurityScheme) {
	return s.Name, &huma.SecurityScheme{
		Type: "apiKey", In: "header", Name: s.Header,
		Description: fmt.Sprintf("An HMAC with %v of `%s`: `%s…`.", s.Hash, s.Signed, s.Prefix),
	}
}

func (s *signed) Verify(header http.Header, body []byte) (gateway.Delivery, error) {
	text, err := value(header, s.Header)
	if err != nil {
		return gateway.Delivery{}, err
	}
	signature, found := strings.CutPrefix(text, s.Prefix)
	if !found {
		return gateway.Delivery{}, errors.New("the signature is of another kind")
	}
	d, timestamp, err := s.signedHeaders(header)
	if err != nil {
		return gateway.Delivery{}, err
	}
	whole := strings.NewReplacer("{timestamp}", timestamp, "{id}", d.ID, "{body}", string(body))
	if !signs([]string{signature}, s.keys, s.Hash.New, s.encode, func(mac hash.Hash) {
		_, _ = whole.WriteString(mac, s.Signed) // a hash never fails
	}) {
		return gateway.Delivery{}, errSignature
	}
	for _, name := range s.Metadata {
		if text := header.Get(name); text != "" {
			if d.Metadata == nil {
				d.Metadata = map[string]string{}
			}
			d.Metadata[strings.ToLower(name)] = text
		}
	}
	return d, nil
}

// signedHeaders returns the ID and the timestamp of a webhook, if the sender signs them.
func (s *signed) signedHeaders(header http.Header) (d gateway.Delivery, timestamp string, err error) {
	if s.TimestampHeader != "" {
		if timestamp, err = value(header, s.TimestampHeader); err != nil {
			return d, "", err
		}
		if d.Sent, err = seconds(timestamp); err != nil {
			return d, "", err
		}
	}
	if s.IDHeader != "" {
		if d.ID, err = value(header, s.IDHeader); err != nil {
			return d, "", err
		}
		err = checkID(d.ID)
	}
	return d, timestamp, err
}
