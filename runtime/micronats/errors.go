package micronats

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/micro"
)

// ErrTooLarge means that the packet exceeds the broker's max_payload (1 MiB by default)
// and was not sent.
var ErrTooLarge = errors.New("larger than the NATS server accepts")

var (
	errAnswered = errors.New("the reply has already ended")
	errNotJSON  = fmt.Errorf("%w: it is not JSON", micro.ErrBadReply)
	errEmpty    = fmt.Errorf("%w: it is empty", micro.ErrBadReply)
)

func sizeError(what string, size int, limit int64) error {
	return fmt.Errorf("the %s has %d bytes: %w (max_payload %d)", what, size, ErrTooLarge, limit)
}

// emptyReply returns the error of a call whose reply has no body. Services that use NATS's
// own service framework put an error into these headers.
func emptyReply(header nats.Header) error {
	if text := header.Get("Nats-Service-Error"); text != "" {
		return fmt.Errorf("%w: it is empty, and its headers report the error %s: %q", micro.ErrBadReply, header.Get("Nats-Service-Error-Code"), text)
	}
	return errEmpty
}
