package microredis

import (
	"strconv"
	"strings"
)

// PermissionError means that the user may not use channels, or not in this way. It matches
// micro.ErrForbidden.
type PermissionError struct {
	Command  string   // the command of Redis, in lower case: publish, subscribe, or psubscribe
	Channels []string // all that are not permitted
	Err      error    // the answer of Redis
}

// Error names the channels.
func (e *PermissionError) Error() string {
	verb := e.Command + " to "
	if e.Command == "publish" {
		verb = "publish on "
	}
	return verb + strings.Join(e.Channels, ", ") + ": " + e.Err.Error()
}

// Unwrap returns the answer of Redis.
func (e *PermissionError) Unwrap() error { return e.Err }

// Grant returns the rules that permit it, as ACL SETUSER takes them. Redis answers whether it
// is the command or the channel that is not permitted.
func (e *PermissionError) Grant() string {
	var rules []string
	answer := e.Err.Error()
	if !strings.Contains(answer, "channel") {
		rules = append(rules, "+"+e.Command)
	}
	if !strings.Contains(answer, "command") {
		for _, c := range e.Channels {
			rules = append(rules, strconv.Quote("&"+c))
		}
	}
	return strings.Join(rules, " ")
}

// denied adds the command and the channels to the error of a command, if a permission is
// missing.
func denied(err error, command string, channels ...string) error {
	if !isForbidden(err) {
		return err
	}
	return &PermissionError{Command: command, Channels: channels, Err: err}
}
