package micronats

import (
	"errors"
	"fmt"

	"github.com/msctl/msctl/runtime/micro"
)

// ErrTooLarge means that the packet exceeds the broker's max_payload (1 MiB by default)
// and was not sent.
var ErrTooLarge = errors.New("larger than the NATS server accepts")

var (
	errAnswered = errors.New("the reply has already ended")
	errNotJSON  = fmt.Errorf("%w: it is not JSON", micro.ErrBadReply)
)

func sizeError(what string, size int, limit int64) error {
	return fmt.Errorf("the %s has %d bytes: %w (max_payload %d)", what, size, ErrTooLarge, limit)
}
