package load

import (
	"errors"
	"fmt"
	"time"
)

// schedule has a trigger of the plan fired at its time.
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
			_ = r.fire(t) // TriggerError tells
		case <-r.over:
		}
	})
}

// fire does what a trigger is for and notes it, or why it could not be done.
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

// Trigger does something to the system now: t.At is set to this moment. The
// verdict of the run is about what comes after it.
func (r *Run) Trigger(t Trigger) error {
	select {
	case <-r.over:
		return errors.New("the run is over")
	default:
	}
	t.At = r.now()
	return r.fire(t)
}

// TriggerError returns why a trigger of the plan could not be fired; nil when
// all could.
func (r *Run) TriggerError() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}
