package load

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// Outcome is what became of a request in the end.
type Outcome int

// The outcomes. Every request has exactly one.
const (
	OK          Outcome = iota // answered
	Error                      // the service answered with an error
	Timeout                    // no answer in time, the run's end included
	Unreachable                // no connection could be made
	Reset                      // the connection was lost, or spoke no sense
	Shed                       // not sent, on purpose: in-flight limit, budget, breaker, or the run was stopped first
	outcomes                   // how many there are
)

// Outcomes lists all outcomes in their order.
func Outcomes() []Outcome { return []Outcome{OK, Error, Timeout, Unreachable, Reset, Shed} }

// String is the outcome's word.
func (o Outcome) String() string {
	return [...]string{"ok", "error", "timeout", "unreachable", "reset", "shed"}[o]
}

// errStopped is the cause of the context of requests that were in flight when a
// run was stopped and its grace was over.
var errStopped = errors.New("the run was stopped before the answer came")

// classify maps the error a request ended with to its outcome, and the status
// of the service's error. Here is the one place where that is decided.
func classify(err error) (o Outcome, status int) {
	var remote *micro.Error
	switch {
	case err == nil:
		return OK, 0
	case errors.As(err, &remote) && remote.Remote():
		return Error, remote.Status
	case errors.Is(err, micro.ErrShed):
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

// stopped reports whether a request ended because the run did.
func stopped(err error) bool { return errors.Is(err, errStopped) || errors.Is(err, context.Canceled) }

// normaliser makes texts that differ only in ids, numbers and ports equal.
type normaliser struct {
	ids, numbers, local *regexp.Regexp
}

func newNormaliser() *normaliser {
	return &normaliser{
		ids:     regexp.MustCompile(`\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-fA-F]{12,}\b`),
		numbers: regexp.MustCompile(`\d+`),
		local:   regexp.MustCompile(`\S+->`),
	}
}

const maxErrorText = 160 // bytes

// text gives the words by which an error is counted.
func (n *normaliser) text(err error) string {
	var remote *micro.Error
	var text string
	if errors.As(err, &remote) && remote.Remote() {
		text = n.numbers.ReplaceAllString(n.ids.ReplaceAllString(remote.Message, "#"), "#")
	} else {
		text = withoutPolicy(err.Error())
		text = n.local.ReplaceAllString(text, "")
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return text
}

// withoutPolicy cuts what the policy says about its attempts off an error's
// text: they are counted elsewhere.
func withoutPolicy(text string) string {
	for _, words := range []string{" (after ", " (attempt "} {
		if at := strings.LastIndex(text, words); at > 0 && strings.HasSuffix(text, ")") {
			text = text[:at]
		}
	}
	return text
}
