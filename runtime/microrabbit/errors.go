package microrabbit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// placeError is an error of the broker with what was being done and the way out.
type placeError struct {
	place string
	cause error
	hint  string
	fatal bool // trying again does not help
}

func (e *placeError) Error() string {
	text := e.place + ": " + reason(e.cause)
	if e.hint != "" {
		text += ": " + e.hint
	}
	return text
}

func (e *placeError) Unwrap() error { return e.cause }

// reason is the broker's own sentence, or the error's text.
func reason(err error) string {
	var broker *amqp.Error
	if errors.As(err, &broker) {
		return fmt.Sprintf("%s (%d)", broker.Reason, broker.Code)
	}
	return err.Error()
}

// at tells where an error of the broker happened, and what to do about it.
func at(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	e := &placeError{place: fmt.Sprintf(format, args...), cause: err}
	var broker *amqp.Error
	if !errors.As(err, &broker) {
		return e
	}
	switch broker.Code {
	case amqp.PreconditionFailed:
		e.fatal = true
		e.hint = "it exists with other options: use the same Topology on all sides, or delete it"
	case amqp.NotFound:
		e.hint = "declare it, or remove Topology.NoDeclare"
	case amqp.AccessRefused:
		e.hint = "give the user the permission, in this virtual host"
	case amqp.NotAllowed:
		e.hint = "is it the right virtual host?"
	case amqp.ResourceLocked:
		e.hint = "it is exclusive to another connection, which may still have to end"
	}
	return e
}

// refused makes the error of a message that could not be sent for a reason that
// waiting does not heal.
func refused(err error) error {
	var broker *amqp.Error
	if errors.As(err, &broker) {
		return fmt.Errorf("%w: %w", micro.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
}

// unconnected makes the error of a connection that could not be made.
func unconnected(err error, a address) error {
	e := &placeError{place: "connect to " + a.name, cause: err}
	var broker *amqp.Error
	if errors.As(err, &broker) {
		switch broker.Code {
		case amqp.AccessRefused:
			e.hint = "are the user and the password of the URL right?"
		case amqp.NotAllowed:
			e.hint = "is the virtual host of the URL right?"
		}
	}
	return e
}

// hopeless reports whether trying again right away cannot help: the broker said
// no to who asks or to what is asked, rather than not being there.
func hopeless(err error) bool {
	if several, ok := err.(interface{ Unwrap() []error }); ok { // what connect has joined
		return !slices.ContainsFunc(several.Unwrap(), func(err error) bool { return !hopeless(err) })
	}
	var place *placeError
	if errors.As(err, &place) && place.fatal || errors.Is(err, errURL) {
		return true
	}
	var broker *amqp.Error
	if errors.As(err, &broker) {
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

// final reports whether trying again never helps.
func final(err error) bool {
	var place *placeError
	return errors.As(err, &place) && place.fatal || errors.Is(err, errURL)
}

// isMissing reports whether the broker has not got what it was asked for.
func isMissing(err error) bool {
	var broker *amqp.Error
	return errors.As(err, &broker) && broker.Code == amqp.NotFound
}

// lost is why a connection ended, in a few words.
func lost(err *amqp.Error) error {
	if err == nil {
		return errors.New("it was closed")
	}
	if err.Code == amqp.FrameError { // the driver's own finding: the socket failed
		return errors.New(err.Reason)
	}
	return err
}

// isTimeout reports whether a connection attempt ran into its time limit.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
