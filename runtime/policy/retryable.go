package policy

import (
	"context"
	"errors"

	"github.com/msctl/msctl/runtime/micro"
)

// Transient reports whether err may be temporary: no reply in time, no connection, a lost
// connection, or a reply with status 429, 502, 503, or 504. A rejection by a broker is
// not transient. Policies retry transient errors by default. After a lost connection or a
// timeout, the service may have done the work, so retries require handlers that are safe
// to run twice.
func Transient(err error) bool {
	err = ended(err)
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

// AnyError reports whether err is an error, other than a cancellation by the caller or a
// message that this side withheld. It also retries errors that will recur. The nest
// preset uses it because code written for NestJS usually does.
func AnyError(err error) bool {
	err = ended(err)
	return err != nil && !errors.Is(err, context.Canceled) &&
		!errors.Is(err, micro.ErrShed) && !errors.Is(err, micro.ErrClosed)
}

// Never reports false for every error.
func Never(error) bool { return false }
