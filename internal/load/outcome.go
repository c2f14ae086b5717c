package load

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"syscall"

	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
)

// Outcome is the final outcome of a request.
type Outcome int

// The outcomes. Every request has exactly one.
const (
	OK          Outcome = iota // success
	Error                      // the service returned an error
	Timeout                    // no reply in time, or before the run was stopped
	Unreachable                // no connection could be established
	Reset                      // the connection was lost, or the reply was malformed
	Shed                       // not sent: in-flight limit, budget, breaker, a limit of this machine, or the run was stopped first
	outcomes                   // the number of outcomes
)

// Outcomes returns all outcomes in order.
func Outcomes() []Outcome { return []Outcome{OK, Error, Timeout, Unreachable, Reset, Shed} }

// String returns the name of the outcome: "ok", "error", and so on.
func (o Outcome) String() string {
	return [...]string{"ok", "error", "timeout", "unreachable", "reset", "shed"}[o]
}

// errStopped is the cause of the context of requests that were still in flight when
// the grace of a stopped run was over.
var errStopped = errors.New("the run was stopped before the reply arrived")

// classify maps the error of a request to its outcome and to the status of the
// service's error. This is the only place where that is decided.
func classify(err error) (o Outcome, status int) {
	var remote *micro.Error
	var other *unexpected
	switch {
	case err == nil:
		return OK, 0
	case errors.As(err, &other):
		return Error, other.status
	case errors.As(err, &remote) && remote.Remote():
		return Error, remote.Status
	case errors.Is(err, micro.ErrShed), ownFault(err):
		return Shed, 0
	case errors.Is(err, micro.ErrUnreachable):
		return Unreachable, 0
	case errors.Is(err, micro.ErrConnectionLost), errors.Is(err, micro.ErrClosed):
		return Reset, 0
	case errors.Is(err, micro.ErrTimeout), stopped(err):
		return Timeout, 0
	}
	return Reset, 0
}

// stopped reports whether a request ended because the run was stopped.
func stopped(err error) bool { return errors.Is(err, errStopped) || errors.Is(err, context.Canceled) }

// normalizer makes error texts equal that differ only in IDs, numbers, and ports, and
// safe to print.
type normalizer struct {
	redact              func(string) string // nil for none
	ids, numbers, local *regexp.Regexp
}

func newNormalizer() *normalizer {
	return &normalizer{
		ids:     regexp.MustCompile(`\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-fA-F]{12,}\b`),
		numbers: regexp.MustCompile(`\d+`),
		local:   regexp.MustCompile(`\S+->`),
	}
}

const maxErrorText = 160 // bytes

// text returns the text by which an error is counted.
func (n *normalizer) text(err error) string {
	var remote *micro.Error
	var own syscall.Errno
	var text string
	switch {
	case errors.As(err, &remote) && remote.Remote():
		text = n.numbers.ReplaceAllString(n.ids.ReplaceAllString(n.redacted(remote.Message), "#"), "#")
	case ownFault(err) && errors.As(err, &own):
		text = "this machine has no file descriptor or port left: " + own.Error()
	default:
		text = withoutPolicy(n.redacted(err.Error()))
		text = n.local.ReplaceAllString(text, "")
	}
	text = visible.Line(strings.Join(strings.Fields(text), " "))
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return text
}

func (n *normalizer) redacted(text string) string {
	if n.redact == nil {
		return text
	}
	return n.redact(text)
}

// withoutPolicy removes the policy's suffix about attempts from an error's text:
// attempts are counted elsewhere.
func withoutPolicy(text string) string {
	for _, words := range []string{" (after ", " (attempt "} {
		if at := strings.LastIndex(text, words); at > 0 && strings.HasSuffix(text, ")") {
			text = text[:at]
		}
	}
	return text
}
