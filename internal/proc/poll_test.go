package proc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
)

// answers is a checker that returns one error after the other.
type answers struct {
	errs   []error
	closed bool
}

func (a *answers) check(context.Context) error {
	err := a.errs[0]
	a.errs = a.errs[1:]
	return err
}

func (a *answers) close() { a.closed = true }

// TestPollForbidden: a missing permission is reported at once, since waiting does not change it.
func TestPollForbidden(t *testing.T) {
	denied := fmt.Errorf("%w: publish to msctl.health.items", micro.ErrForbidden)
	c := &answers{errs: []error{micro.ErrNotServed, denied}}
	if err := poll(t.Context(), c); !errors.Is(err, denied) || !c.closed {
		t.Errorf("%v, closed: %v", err, c.closed)
	}
	c = &answers{errs: []error{micro.ErrNotServed, nil}}
	if err := poll(t.Context(), c); err != nil {
		t.Error(err)
	}
}
