package microrabbit

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// PermissionError reports that the user of a connection lacks a permission. errors.As finds
// it in the errors of clients and servers.
type PermissionError struct {
	// User lacks Permission, which is configure, write, or read, in VHost.
	User, Permission, VHost string
	// Kind is queue or exchange, and Name is its name. The exchange amq.default is the one
	// that delivers messages to queues by name. With the kind topic, Name is a routing key.
	Kind, Name string
}

// Unwrap returns micro.ErrForbidden.
func (e *PermissionError) Unwrap() error { return micro.ErrForbidden }

func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s lacks the %s permission for the %s %q", e.User, e.Permission, e.Kind, e.Name)
}

// denied matches RabbitMQ's text for a permission that a user does not have. Older versions
// do not name the permission.
var denied = regexp.MustCompile(`(?:(configure|write|read) )?access to (queue|exchange|topic) '(.*?)' in .*?vhost '(.*?)' refused for user '(.*)'`)

// permissionOf returns the permission that an operation requires, from the broker's reason
// to reject it, or nil if there is another reason.
func permissionOf(operation, reason string) *PermissionError {
	m := denied.FindStringSubmatch(reason)
	if m == nil {
		return nil
	}
	e := &PermissionError{Permission: m[1], Kind: m[2], Name: m[3], VHost: m[4], User: m[5]}
	if e.Permission != "" {
		return e
	}
	verb, object, _ := strings.Cut(operation, " ")
	switch declared := strings.Contains(object, e.Kind+fmt.Sprintf(" %q", e.Name)); {
	case verb == "declare" && declared:
		e.Permission = "configure"
	case verb == "consume", verb == "bind" && e.Kind == "exchange":
		e.Permission = "read"
	default: // publish to it, bind a queue, or name a dead-letter or alternate exchange
		e.Permission = "write"
	}
	return e
}
