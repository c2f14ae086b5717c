package micronats

import (
	"errors"
	"fmt"
)

// ErrTooLarge means that the packet exceeds the broker's max_payload (1 MiB by default)
// and was not sent.
var ErrTooLarge = errors.New("larger than the NATS server accepts")

var (
	errAnswered = errors.New("the reply has already ended")
	errNotJSON  = errors.New("the reply is not JSON")
)

func sizeError(what string, size int, limit int64) error {
	return fmt.Errorf("the %s has %d bytes: %w (max_payload %d)", what, size, ErrTooLarge, limit)
}
