package load

import (
	"errors"
	"fmt"
	"time"
)

// schedule arranges for a trigger of the plan to fire at its start.
func (r *Run) schedule(t Trigger) {
	if t.Fire == nil {
		r.rec.trigger(t)
		return
	}
	r.aside.Go(func() {
		timer := time.NewTimer(time.Until(r.start.Add(t.At)))
		defer timer.Stop()
		select {
		case <-timer.C:
			_ = r.fire(t) // TriggerError returns it
		case <-r.over:
		}
	})
}

// fire starts the fault of a trigger and records the trigger, or its error.
func (r *Run) fire(t Trigger) error {
	if t.Fire != nil {
		if err := t.Fire(); err != nil {
			r.rec.mark(r.now(), fmt.Sprintf("%s failed", t.Text))
			r.failed.CompareAndSwap(nil, &err)
			return err
		}
	}
	r.rec.trigger(t)
	return nil
}

// Trigger fires a trigger now; t.At is set to the current time. The run judges the
// recovery from it, too. It returns the error of t.Fire, or an error if no more
// requests are offered.
func (r *Run) Trigger(t Trigger) error {
	select {
	case <-r.over:
		return errors.New("the run is over")
	default:
	}
	t.At = r.now()
	return r.fire(t)
}

// TriggerError returns the first error of a trigger of the plan, or nil.
func (r *Run) TriggerError() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}
