package micronats

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

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

// PermissionError is the error of what the broker does not permit the user. It matches
// micro.ErrForbidden.
type PermissionError struct {
	Server    string   // the addresses, without credentials
	Operation string   // "publish" or "subscribe"
	Subjects  []string // all that were refused; with Replies, one of them would be enough
	Replies   bool     // the user cannot receive the replies to requests
}

func (e *PermissionError) Error() string {
	var quoted []string
	for _, s := range e.Subjects {
		quoted = append(quoted, strconv.Quote(s))
	}
	and, purpose := " and ", ""
	if e.Replies {
		and, purpose = " or ", ", and replies to requests require one of them"
	}
	return fmt.Sprintf("%v: NATS at %s does not let the user %s to %s%s", micro.ErrForbidden, e.Server, e.Operation, strings.Join(quoted, and), purpose)
}

// Unwrap returns micro.ErrForbidden.
func (e *PermissionError) Unwrap() error { return micro.ErrForbidden }

// errNoReplies is the error of a request that was sent before the broker refused the
// subscription for its reply.
func errNoReplies(server, subject string) error {
	return fmt.Errorf("%w: NATS at %s no longer lets the user subscribe to %q, which receives the replies", micro.ErrConnectionLost, server, subject)
}
