package cli

import (
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/term"
)

// progress prints a line a second until the run has finished, and each new thing
// that caption says.
func progress(s *term.IO, run *load.Run, caption func(*load.Snapshot) string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-run.Done():
			snap := run.Snapshot(1)
			for i := range snap.Recoveries {
				s.Notef("%s", verdictLine(s.ErrPalette(), &snap.Recoveries[i]))
			}
			return
		case <-tick.C:
			snap := run.Snapshot(1)
			if caption != nil {
				if text := caption(&snap); text != said {
					said = text
					s.Notef("%s", s.ErrPalette().Accent("        "+text))
				}
			}
			s.Notef("%s", progressLine(s.ErrPalette(), snap))
		}
	}
}

// verdictLine is a verdict and its reason.
func verdictLine(p term.Palette, r *load.Recovery) string {
	paint := p.Warn
	switch r.Verdict {
	case load.Recovered:
		paint = p.Good
	case load.Collapsed:
		paint = p.Bad
	}
	return fmt.Sprintf("%s after %s: %s", paint(r.String()), r.Trigger.Text, r.Why)
}

// progressLine is what happened in the last complete second.
func progressLine(p term.Palette, snap load.Snapshot) string {
	last := snap.Last
	text := fmt.Sprintf("%6s  offered %s  ok %s", (last.At + time.Second).String(), format.Count(last.Offered), format.Count(last.OK()))
	if n := last.Failed(); n > 0 {
		text += "  " + p.Bad("failed "+format.Count(n))
	}
	if n := last.Shed(); n > 0 {
		text += "  " + p.Bad("shed "+format.Count(n))
	}
	if last.Attempts > last.Offered {
		text += fmt.Sprintf("  attempts %s", format.Count(last.Attempts))
	}
	if last.Late > 0 {
		text += "  " + p.Warn("late "+format.Count(last.Late))
	}
	text += fmt.Sprintf("  p50 %s  p99 %s  in flight %s", format.Duration(last.P50), format.Duration(last.P99), format.Count(snap.InFlight))
	if n := len(snap.Recoveries); n > 0 && snap.Recoveries[n-1].Verdict == load.Pending {
		text += "  " + p.Accent(snap.Recoveries[n-1].Trigger.Text)
	}
	if last.Doubtful() {
		text += "  " + p.Warn("the generator is short of time")
	}
	if snap.Phase != load.Loading {
		text += "  " + p.Dim(snap.Phase.String())
	}
	return text
}
