package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/workspace"
)

// benchFaults are the flags that say what goes wrong meanwhile.
type benchFaults struct {
	texts []string
	list  []fault.Fault
}

func (o *benchFaults) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&o.texts, "fault", "f", nil,
		"do `FAULT` to the messages: 'stall@10s+4s', 'error=20%', 'latency=200ms±50ms@10s+5s' (repeatable; `msctl fault --help` has them all)")
	groupFlags(cmd, "Faults", "fault")
}

// check reads the faults.
func (o *benchFaults) check() error {
	o.list = nil
	for _, text := range o.texts {
		f, err := parseFault("--fault", text)
		if err != nil {
			return err
		}
		o.list = append(o.list, f)
	}
	return nil
}

// parseFault reads a fault; what is wrong with it is a usage error that points
// at the place.
func parseFault(flag, text string) (fault.Fault, error) {
	f, err := fault.Parse(text)
	var wrong *fault.SyntaxError
	if errors.As(err, &wrong) {
		return f, exit.PointAt(flag, text, wrong.Offset, wrong.Message)
	}
	return f, err
}

// suit tells whether the faults can be done to what goes to a target. Its errors
// are usage errors.
func (o *benchFaults) suit(t target.Target) error {
	for _, f := range o.list {
		if !f.ForProcess() {
			if err := f.Check(t.Raw()); err != nil && t.Broker != nil {
				return exit.WithHint(exit.Usagef("--fault %w", err), "before a broker a proxy sees a stream of bytes, in which all messages are mixed")
			} else if err != nil {
				return exit.Usagef("--fault %w", err)
			}
			continue
		}
		if t.Service == "" {
			return exit.WithHint(exit.Usagef("--fault %s stops a process that `msctl run` has started, and %s is not known to be one", f, t),
				"name a service with --to, or use stall, which holds the messages instead")
		}
	}
	return nil
}

// triggerText names a fault on the time axis: its window is drawn.
func triggerText(f fault.Fault) string {
	length := f.Length
	f.Start, f.Length = 0, 0
	text := f.String()
	if length > 0 {
		text += " " + length.String()
	}
	return text
}

// triggersOf are the faults with a window, as the run's triggers.
func (r *rig) triggersOf(faults []fault.Fault) []load.Trigger {
	var list []load.Trigger
	for _, f := range faults {
		if !f.Trigger() {
			continue
		}
		t := load.Trigger{At: f.Start, Length: f.Length, Text: triggerText(f)}
		if f.ForProcess() {
			t.Fire = func() error { return r.pause(f.Length) }
		}
		list = append(list, t)
	}
	return list
}

// pauseTimeout bounds the request to pause, not the pause.
const pauseTimeout = 3 * time.Second

// pause stops the processes of the run's services for a while.
func (r *rig) pause(d time.Duration) error {
	ctx, cancel := context.WithTimeout(r.ctx, pauseTimeout)
	defer cancel()
	for _, service := range r.paused {
		if err := r.control.Pause(ctx, service, d); err != nil {
			return fmt.Errorf("pause %s: %w", service, err)
		}
	}
	return nil
}

// preparePause finds the `msctl run` that has the services to be paused.
func (r *rig) preparePause() error {
	for _, m := range r.o.messages {
		r.paused = append(r.paused, m.target.Service)
	}
	w, err := workspace.Current()
	if err != nil {
		return err
	}
	runs, err := proc.Runs(r.ctx, w, "")
	switch {
	case err != nil:
		return err
	case len(runs) == 0:
		return exit.WithHint(exit.WithCode(errors.New("the fault pause needs `msctl run`, which does not run"), exit.Unreachable), "start it, or use stall")
	}
	r.control = runs[0]
	return nil
}

// liveStall is the fault that the key f fires where no other is given.
const liveStall = 4 * time.Second

// live is the fault that can be fired while the run goes on.
func (o *benchFaults) live() fault.Fault {
	for _, f := range o.list {
		if f.Trigger() && !f.ForProcess() {
			if f.Length == 0 {
				f.Length = liveStall
			}
			return f
		}
	}
	return fault.Fault{Kind: fault.Stall, Length: liveStall}
}

// faultRun is a run whose faults can be fired with a key.
type faultRun struct {
	*load.Run
	rig *rig
}

// CanFire says what Fire does; "" where no proxy is in the way.
func (f faultRun) CanFire() string {
	if len(f.rig.proxies) == 0 {
		return ""
	}
	return triggerText(f.rig.o.faults.live())
}

// Fire does the live fault now.
func (f faultRun) Fire() error {
	if len(f.rig.proxies) == 0 {
		return errors.New("no fault proxy is in the way: start with --fault 'stall@1h+4s' to have one at hand")
	}
	live := f.rig.o.faults.live()
	return f.Trigger(load.Trigger{Length: live.Length, Text: triggerText(live), Fire: func() error {
		live.Start = time.Since(f.rig.started)
		for _, p := range f.rig.proxies {
			if _, err := p.Add(live); err != nil {
				return err
			}
		}
		return nil
	}})
}

// faultWithEnd reports whether a fault has a window that ends.
func faultWithEnd(f fault.Fault) bool { return f.Trigger() && f.Length > 0 }

// forProxy are the faults that are done to messages.
func (o *benchFaults) forProxy() []fault.Fault {
	return slices.DeleteFunc(slices.Clone(o.list), fault.Fault.ForProcess)
}
