package micronats

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// refusals are what the broker does not let the user do, from begin to end.
type refusals struct {
	told chan struct{} // a signal: there is another

	mu   sync.Mutex // guards what follows
	on   bool
	errs []error
}

func (r *refusals) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.errs = true, nil
}

func (r *refusals) add(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on {
		r.errs = append(r.errs, err)
		select {
		case r.told <- struct{}{}:
		default:
		}
	}
}

// end returns all since begin. last is the driver's last error, which it knows of
// before it is added: end waits for that, for a while.
func (r *refusals) end(last error, patience time.Duration) []error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for waiting := errors.Is(last, nats.ErrPermissionViolation); waiting; {
		select {
		case <-r.told:
		case <-timer.C:
			waiting = false
		}
		r.mu.Lock()
		waiting = waiting && !slices.ContainsFunc(r.errs, func(err error) bool { return errors.Is(err, last) })
		r.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return r.errs
}

// refusedSubject returns the subject that the broker does not let the user have,
// for a Subscription or a Publish.
func refusedSubject(err error, what string) (subject string, ok bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", false
	}
	_, rest, _ := strings.Cut(err.Error(), what+" to ")
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return "", false
	}
	subject, err = strconv.Unquote(quoted)
	return subject, err == nil
}
