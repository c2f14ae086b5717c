package report

import (
	"cmp"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load/format"
)

// agentLine describes the processes that made a run together; "" if one made it alone.
func agentLine(r *Run) string {
	if len(r.Agents) == 0 {
		return ""
	}
	var clock time.Duration
	least, most := r.Agents[0].Offered, int64(0)
	for _, a := range r.Agents {
		clock = max(clock, a.ClockError)
		least, most = min(least, a.Offered), max(most, a.Offered)
	}
	share := format.Count(least)
	if most > least {
		share += " to " + format.Count(most)
	}
	text := fmt.Sprintf("%s with %s requests each, clocks within ±%s", format.Counted(len(r.Agents), "agent"), share, format.Duration(clock))
	if r.Policy.BreakerRatio > 0 || r.Policy.HedgeQuantile > 0 {
		text += "; each has its own breaker and hedge quantile"
	}
	return text
}

// lostLines describes what is unknown because agents were lost or stalled.
func lostLines(r *Run) (lines []string) {
	for i, a := range r.Agents {
		name := fmt.Sprintf("agent %d (%s)", i+1, cmp.Or(a.Name, a.ID))
		switch {
		case a.Lost != "":
			text := fmt.Sprintf("%s was lost: %s. Its last report was at %s; what it sent later is not known", name, a.Lost, format.Duration(a.Until))
			if a.Unknown > 0 {
				text += fmt.Sprintf(", nor are the outcomes of %s", format.Counted(a.Unknown, "request"))
			}
			lines = append(lines, text)
		case a.Stalled > 0:
			lines = append(lines, fmt.Sprintf("%s was stalled for %s", name, format.Duration(a.Stalled)))
		}
	}
	return lines
}
