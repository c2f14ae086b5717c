package policy

import (
	"context"
	"errors"

	"github.com/msctl/msctl/runtime/micro"
)

// Transient reports whether err is of the kind that may have come by chance: no
// answer in time, no connection, a connection lost, or an answer of the peer
// with status 429, 502, 503 or 504; but not the refusal of a broker, which knows
// whom it lets in. It is what a policy retries by default. A connection lost or a
// timeout leaves open whether the service did the work: retrying is right for
// handlers that may do it twice.
func Transient(err error) bool {
	var remote *micro.Error
	if errors.As(err, &remote) {
		switch remote.Status {
		case 429, 502, 503, 504:
			return remote.Remote()
		}
		return false
	}
	if errors.Is(err, micro.ErrRefused) {
		return false
	}
	return errors.Is(err, micro.ErrTimeout) || errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrConnectionLost)
}

// AnyError reports whether err is an error at all, other than the caller's own
// giving up and what this side held back on purpose. It retries what will fail
// again just as well; the nest preset has it because code written for NestJS
// usually does.
func AnyError(err error) bool {
	return err != nil && !errors.Is(err, context.Canceled) &&
		!errors.Is(err, micro.ErrShed) && !errors.Is(err, micro.ErrClosed)
}

// Never retries nothing.
func Never(error) bool { return false }
