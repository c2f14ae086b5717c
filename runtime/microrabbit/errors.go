package microrabbit

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// placeError is an error from the broker, with the failed operation and a hint.
type placeError struct {
	place string
	cause error
	hint  string
	fatal bool // retrying does not help

	denied *PermissionError // nil unless the user lacks a permission
	full   *LimitError      // nil unless a limit has been reached
}

func (e *placeError) Error() string {
	text := e.place + ": " + reason(e.cause)
	if e.hint != "" {
		text += ": " + e.hint
	}
	return text
}

func (e *placeError) Unwrap() error { return e.cause }

// As makes errors.As find the PermissionError and the LimitError.
func (e *placeError) As(target any) bool {
	switch found := target.(type) {
	case **PermissionError:
		*found = cmp.Or(e.denied, *found)
		return e.denied != nil
	case **LimitError:
		*found = cmp.Or(e.full, *found)
		return e.full != nil
	}
	return false
}

// reason returns the broker's reason and code, or the text of another error.
func reason(err error) string {
	var broker *amqp.Error
	if errors.As(err, &broker) {
		return fmt.Sprintf("%s (%d)", broker.Reason, broker.Code)
	}
	return err.Error()
}

// at adds the failed operation to an error and, for an error from the broker, a hint.
// It returns nil if err is nil.
func at(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	e := &placeError{place: fmt.Sprintf(format, args...), cause: err}
	var broker *amqp.Error
	if !errors.As(err, &broker) || e.limited(broker) {
		return e
	}
	switch broker.Code {
	case amqp.PreconditionFailed:
		if e.fatal = strings.Contains(broker.Reason, "inequivalent arg"); e.fatal {
			e.hint = "it exists with different options: use the same Topology on all sides, or delete it"
		}
	case amqp.NotFound:
		e.hint = "declare it, or remove Topology.NoDeclare"
	case amqp.AccessRefused:
		if e.denied = permissionOf(e.place, broker.Reason); e.denied != nil {
			e.hint = fmt.Sprintf("grant %s the %s permission for the %s %q", e.denied.User, e.denied.Permission, e.denied.Kind, e.denied.Name)
		}
	case amqp.NotAllowed:
		e.hint = "is it the right virtual host?"
	case amqp.ChannelError:
		if errors.Is(err, amqp.ErrChannelMax) {
			e.hint = "increase channel_max of the broker"
		}
	case amqp.ResourceLocked:
		e.hint = "it is exclusive to another connection, which may not have ended yet"
	}
	return e
}

// limited adds the limit that has been reached, if any.
func (e *placeError) limited(broker *amqp.Error) bool {
	if e.full = limitOf(broker.Reason); e.full == nil {
		return false
	}
	e.hint = e.full.Error()
	return true
}

// refused wraps the error of a message that was not sent because there is no connection
// and waiting does not help.
func refused(err error) error {
	var broker *amqp.Error
	switch {
	case errors.Is(err, micro.ErrNotServed):
		return err
	case !errors.As(err, &broker) || !broker.Server || !hopeless(err):
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	case strings.Contains(broker.Reason, "refused for user"): // a refused login has another text
		return fmt.Errorf("%w: %w", micro.ErrForbidden, err)
	}
	return fmt.Errorf("%w: %w", micro.ErrRefused, err)
}

// tooLarge matches RabbitMQ's text for a message above its limit.
var tooLarge = regexp.MustCompile(`message size (\d+) is larger than configured max size (\d+)`)

// largest returns the broker's limit of the size of a message, if that is why it has ended a
// connection, or 0.
func largest(ended error) int64 {
	var broker *amqp.Error
	if !errors.As(ended, &broker) || !broker.Server {
		return 0
	}
	size := tooLarge.FindStringSubmatch(broker.Reason)
	if size == nil {
		return 0
	}
	most, _ := strconv.ParseInt(size[2], 10, 64) // digits
	return most
}

// rejection returns the error of a message that the broker had not confirmed when it
// closed the channel because of ended, or nil if it may have accepted the message. alone
// means that it was the only such message, so the broker closed the channel because of it.
func rejection(ended error, s *sent, alone bool) error {
	var broker *amqp.Error
	if !errors.As(ended, &broker) || !broker.Server {
		return nil
	}
	size := tooLarge.FindStringSubmatch(broker.Reason)
	denied := permissionOf("publish", broker.Reason)
	switch {
	case broker.Code == amqp.AccessRefused && denied != nil && denied.Kind == "topic":
		alone = alone || denied.Name == s.route
	case broker.Code == amqp.AccessRefused && denied != nil && denied.Kind == "exchange":
		alone = true // all messages of the channel go to the same exchange
	case size != nil:
		alone = alone || size[1] == strconv.Itoa(s.size)
	case broker.Code == amqp.NotFound && alone:
		return fmt.Errorf("%w: %s", ErrNoExchange, reason(broker))
	case broker.Code != amqp.PreconditionFailed && broker.Code != amqp.AccessRefused:
		return nil
	}
	if !alone {
		return nil
	}
	return refused(at(broker, "publish"))
}

// unconnected adds the address, and a hint if possible, to the error of a failed attempt
// to connect.
func unconnected(err error, a address) error {
	e := &placeError{place: "connect to " + a.name, cause: err}
	var broker *amqp.Error
	if errors.As(err, &broker) && !e.limited(broker) {
		switch broker.Code {
		case amqp.AccessRefused:
			e.hint = "are the user and the password of the URL right?"
		case amqp.NotAllowed:
			e.hint = "is the virtual host of the URL right?"
		}
	}
	return e
}

// hopeless reports whether an immediate retry cannot help: the broker was reached, but
// it rejected the login or the operation, or the TLS handshake failed.
func hopeless(err error) bool {
	if several, ok := err.(interface{ Unwrap() []error }); ok { // joined by connect
		return !slices.ContainsFunc(several.Unwrap(), func(err error) bool { return !hopeless(err) })
	}
	if final(err) || errors.Is(err, amqp.ErrChannelMax) {
		return true
	}
	var broker *amqp.Error
	if errors.As(err, &broker) && !passes(err) {
		switch broker.Code {
		case amqp.AccessRefused, amqp.NotFound, amqp.NotAllowed, amqp.PreconditionFailed, amqp.NotImplemented, amqp.CommandInvalid:
			return true
		}
		return false
	}
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	return errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &record)
}

// final reports whether no retry can ever help.
func final(err error) bool {
	var place *placeError
	return errors.As(err, &place) && place.fatal || errors.Is(err, errURL)
}

// isForbidden reports whether the broker refused an operation because the user does not
// have the permission.
func isForbidden(err error) bool {
	var broker *amqp.Error
	return errors.As(err, &broker) && broker.Code == amqp.AccessRefused
}

// isMissing reports whether the broker replied that the queue or exchange does not exist.
func isMissing(err error) bool {
	var broker *amqp.Error
	return errors.As(err, &broker) && broker.Code == amqp.NotFound
}

// lost returns the reason why a connection ended.
func lost(err *amqp.Error) error {
	if err == nil {
		return errors.New("the connection was closed")
	}
	if err.Code == amqp.FrameError { // from the driver, not the broker: the socket failed
		return errors.New(err.Reason)
	}
	return err
}

// isTimeout reports whether an attempt to connect timed out.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// timedOut matches RabbitMQ's text for a message that was not acknowledged in time.
var timedOut = regexp.MustCompile(`delivery acknowledge?ment on channel \d+ timed out.*?: (\d+) ms`)

// acknowledgmentTimeout returns the broker's timeout for acknowledgments, if that is why a
// connection ended.
func acknowledgmentTimeout(err error) (timeout time.Duration, ok bool) {
	var broker *amqp.Error
	if !errors.As(err, &broker) {
		return 0, false
	}
	m := timedOut.FindStringSubmatch(broker.Reason)
	if m == nil {
		return 0, false
	}
	ms, err := strconv.ParseInt(m[1], 10, 64)
	return time.Duration(ms) * time.Millisecond, err == nil
}
