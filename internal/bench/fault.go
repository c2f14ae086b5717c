package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/target"
)

// ends reports whether the fault has a window that ends.
func (f Fault) ends() bool { return f.Trigger() && f.Length > 0 }

// label describes the fault on the time axis, where its window is drawn.
func (f Fault) label() string {
	length := f.Length
	f.Start, f.Length = 0, 0
	text := f.String()
	if length > 0 {
		text += " " + length.String()
	}
	return text
}

func faultTexts(faults []Fault) (texts []string) {
	for _, f := range faults {
		texts = append(texts, f.Text)
	}
	return texts
}

// checkFaults returns an error if one of the faults cannot be injected into the
// traffic of the target. All its errors are usage errors.
func (s *Spec) checkFaults(t target.Target) error {
	for _, f := range s.Faults {
		if f.ForProcess() && s.part.Of > 0 {
			continue // another process pauses it
		}
		if err := f.suits(t); err != nil {
			return s.locate(err, "fault")
		}
	}
	return nil
}

func (f Fault) suits(t target.Target) error {
	if f.ForProcess() {
		if t.Service != "" {
			return nil
		}
		return exit.WithHint(exit.Usagef("--fault %s pauses a process that `msctl run` started, and %s is not the name of a service", f, t),
			"name a service with --to, or use stall, which holds the messages instead")
	}
	if err := t.CheckProxy(); err != nil {
		return err
	}
	err := f.Check(t.Raw())
	switch {
	case err == nil:
		return nil
	case t.Broker != nil:
		return exit.WithHint(exit.Usagef("--fault %w", err), "in front of a broker, the proxy sees a single stream of bytes with all messages mixed")
	}
	return exit.Usagef("--fault %w", err)
}

// forProxy returns the faults that are injected into messages, as opposed to the
// service's process.
func forProxy(faults []Fault) (list []fault.Fault) {
	for _, f := range faults {
		if !f.ForProcess() {
			list = append(list, f.Fault)
		}
	}
	return list
}

// triggers returns the faults with a window as the run's triggers.
func (r *rig) triggers() (list []load.Trigger) {
	for _, f := range r.spec.Faults {
		if !f.Trigger() {
			continue
		}
		t := load.Trigger{At: f.Start, Length: f.Length, Text: f.label()}
		switch {
		case r.spec.memory != nil:
			t.Fire = func() error { r.spec.memory.stall(f.Length); return nil }
		case f.ForProcess() && r.spec.part.Of == 0: // one of several processes only knows of it
			t.Fire = func() error { return r.pauseServices(f.Length) }
		}
		list = append(list, t)
	}
	return list
}

// pauseTimeout bounds the request to pause, not the pause.
const pauseTimeout = 3 * time.Second

// pauseServices stops the processes of all services of the run for a while.
func (r *rig) pauseServices(d time.Duration) error {
	ctx, cancel := context.WithTimeout(r.ctx, pauseTimeout)
	defer cancel()
	for _, m := range r.spec.Messages {
		if err := r.pause(ctx, m.target.Service, d); err != nil {
			return fmt.Errorf("pause %s: %w", m.target.Service, err)
		}
	}
	return nil
}

// liveStall is the length of the stall that Run.Fire injects by default.
const liveStall = 4 * time.Second

// liveFault returns the fault that can be injected during the run.
func liveFault(faults []Fault) Fault {
	i := slices.IndexFunc(faults, func(f Fault) bool { return f.Trigger() && !f.ForProcess() })
	if i < 0 {
		return Fault{Fault: fault.Fault{Kind: fault.Stall, Length: liveStall}}
	}
	f := faults[i]
	if f.Length == 0 {
		f.Length = liveStall
	}
	return f
}

// Run is a run in progress. Its methods, and those of the Live, change it.
type Run struct {
	Live
	rig  *rig
	here *load.Run // the Live of this process; nil on a fleet
}

// Here returns the run of this process; nil on a fleet.
func (r *Run) Here() *load.Run { return r.here }

// CanFire describes the fault that Fire injects; "" if there is no proxy.
func (r *Run) CanFire() string {
	if r.rig.fleet != nil {
		if len(forProxy(r.rig.spec.Faults)) == 0 {
			return ""
		}
		return liveFault(r.rig.spec.Faults).label()
	}
	if len(r.rig.proxies) == 0 {
		return ""
	}
	return liveFault(r.rig.spec.Faults).label()
}

// Fire injects a fault now: the first one with a window, or a stall.
func (r *Run) Fire() error {
	if r.rig.fleet != nil {
		return r.rig.fleet.Fire()
	}
	return r.FireAt(time.Since(r.rig.started))
}

// FireAt is Fire for a time of the run.
func (r *Run) FireAt(at time.Duration) error {
	if len(r.rig.proxies) == 0 {
		return errors.New("no fault proxy is running: start with --fault 'stall@1h+4s' to have one")
	}
	live := liveFault(r.rig.spec.Faults)
	return r.here.Trigger(load.Trigger{Length: live.Length, Text: live.label(), Fire: func() error {
		live.Start = at
		for _, p := range r.rig.proxies {
			if _, err := p.Add(live.Fault); err != nil {
				return err
			}
		}
		return nil
	}})
}
