package micronats

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// violations records what the broker does not permit on one connection. The broker does not
// confirm what it permits, and the driver reports what it does not permit on a goroutine of
// its own. To find out whether an operation is permitted, take a mark, do it, flush, and
// call since. All methods are safe for concurrent use.
type violations struct {
	mu      sync.Mutex // guards what follows
	last    error      // the last one that was added
	count   int
	seen    map[violation]int // the count at which each was last added
	changed chan struct{}     // closed and replaced when one is added
}

// violation is an operation without a permission.
type violation struct{ operation, subject string }

const (
	opPublish   = "publish"
	opSubscribe = "subscribe"
)

// maxViolations limits the violations that are remembered.
const maxViolations = 4096

func newViolations() *violations {
	return &violations{seen: map[violation]int{}, changed: make(chan struct{})}
}

// parseViolation parses what the driver reports.
func parseViolation(err error) (violation, bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return violation{}, false
	}
	_, text, _ := strings.Cut(err.Error(), "Permissions Violation for ")
	what, rest, _ := strings.Cut(text, " to ")
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return violation{}, false
	}
	subject, err := strconv.Unquote(quoted)
	operation := map[string]string{"Publish": opPublish, "Subscription": opSubscribe}[what]
	return violation{operation, subject}, err == nil && operation != ""
}

// add records what the driver reports. Other errors are ignored.
func (v *violations) add(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = err
	if one, ok := parseViolation(err); ok {
		if len(v.seen) >= maxViolations {
			clear(v.seen)
		}
		v.count++
		v.seen[one] = v.count
	}
	close(v.changed)
	v.changed = make(chan struct{})
}

// mark returns a point in time for since.
func (v *violations) mark() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.count
}

// since returns the violations that were reported after mark, in order. The connection must have
// been flushed: then the driver has read what the broker reports, and since waits until the
// driver has passed that on.
func (v *violations) since(ctx context.Context, conn *nats.Conn, mark int) ([]violation, error) {
	for {
		last := conn.LastError()
		v.mu.Lock()
		//nolint:errorlint // one particular error
		upToDate, changed := !errors.Is(last, nats.ErrPermissionViolation) || last == v.last, v.changed
		if upToDate {
			defer v.mu.Unlock()
			return v.after(mark), nil
		}
		v.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// after is called with v.mu held.
func (v *violations) after(mark int) []violation {
	var found []violation
	for one, n := range v.seen {
		if n > mark {
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(a, b violation) int { return cmp.Compare(v.seen[a], v.seen[b]) })
	return found
}
