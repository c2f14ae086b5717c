package bench

import (
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// Palette colors the lines.
type Palette interface {
	format.Palette
	Accent(text string) string
}

// Lines is a Display without a screen: it prints one line per second.
type Lines struct {
	Print   func(line string)
	Palette Palette
}

// Show prints the run until it has finished. Of the search for a capacity it prints
// only the title.
func (l Lines) Show(stage Stage) error {
	switch {
	case stage.Name != "":
		l.Print(l.Palette.Bold(stage.Title))
	case stage.Title != "":
		l.Note(stage.Title)
		return nil
	}
	l.follow(stage)
	return nil
}

// Note prints the text.
func (l Lines) Note(text string) { l.Print(l.Palette.Dim(text)) }

// Conclude prints nothing: the report has the conclusion.
func (l Lines) Conclude(string) {}

// follow prints a line per complete second, each new caption, and the verdicts at the end.
func (l Lines) follow(stage Stage) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	caption, printed := "", time.Duration(-1)
	for {
		select {
		case <-stage.Run.Done():
			snap := stage.Run.Snapshot(1)
			for i := range snap.Recoveries {
				l.Print(l.verdict(&snap.Recoveries[i]))
			}
			return
		case <-tick.C:
			snap := stage.Run.Snapshot(1)
			if stage.Caption != nil {
				if text := stage.Caption(&snap); text != caption {
					caption = text
					l.Print(l.Palette.Accent("        " + text))
				}
			}
			if snap.Elapsed >= time.Second && snap.Last.At != printed { // agents report later
				printed = snap.Last.At
				l.Print(l.second(&snap))
			}
		}
	}
}

// verdict returns a verdict and its reason.
func (l Lines) verdict(r *load.Recovery) string {
	paint := l.Palette.Warn
	switch r.Verdict {
	case load.Recovered:
		paint = l.Palette.Good
	case load.Collapsed:
		paint = l.Palette.Bad
	}
	return fmt.Sprintf("%s after %s: %s", paint(r.String()), r.Trigger.Text, r.Why)
}

// second describes the last complete second.
func (l Lines) second(snap *load.Snapshot) string {
	p, last := l.Palette, &snap.Last
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
	text += fmt.Sprintf("  p50 %s  p99 %s  in flight %s", latency(last.P50), latency(last.P99), format.Count(snap.InFlight))
	if n := len(snap.Recoveries); n > 0 && snap.Recoveries[n-1].Verdict == load.Pending {
		text += "  " + p.Accent(snap.Recoveries[n-1].Trigger.Text)
	}
	switch {
	case last.Starved > 0:
		text += "  " + p.Warn("no file descriptors left")
	case last.Jump != 0:
		text += "  " + p.Warn("clock jumped")
	case last.Doubtful():
		text += "  " + p.Warn("generator overloaded")
	}
	if snap.Phase != load.Loading {
		text += "  " + p.Dim(snap.Phase.String())
	}
	return text
}

// latency formats a latency of a second: a dash if no request succeeded in it.
func latency(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return format.Duration(d)
}
