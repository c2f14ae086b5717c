package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/secret"
)

// The sentences about a run that several formats contain.

// failedLine is about a run in which nothing succeeded.
const failedLine = "no request succeeded"

// backlogLine compares what was offered with what was answered; "" if the service kept up.
func backlogLine(r *Run) string {
	b := &r.Backlog
	if !b.Left {
		return ""
	}
	rates := fmt.Sprintf("offered %s, answered %s: ", format.Rate(r.OfferedRate), format.Rate(b.Answered))
	if b.Grew {
		return rates + fmt.Sprintf("the backlog grew to %s and took %s to drain", format.Count(b.Peak), format.Seconds(b.Drain))
	}
	return rates + fmt.Sprintf("a backlog of %s was left at the end of the load and took %s to drain", format.Count(b.AtEnd), format.Seconds(b.Drain))
}

// onTimeLine states how many requests were answered on time, and what that means; "" if
// the run has no objective.
func onTimeLine(r *Run) string {
	share, ok := r.OnTimeShare()
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s, %s", format.Percent(share), r.Objective.String())
}

// String states what counts as on time: "within 500ms".
func (o Objective) String() string {
	text := "within " + format.Duration(o.Limit)
	if o.Given {
		return text
	}
	return text + fmt.Sprintf(" (p95 before the trigger: %s)", format.Duration(o.P95))
}

// distinct returns the different values of the runs, in their order.
func (d *Document) distinct(of func(*Run) string) (list []string) {
	for i := range d.Runs {
		if v := of(&d.Runs[i]); !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// title names what was sent, by all runs.
func (d *Document) title() string {
	return strings.Join(d.distinct(func(r *Run) string { return r.Pattern }), ", ")
}

// target names where it was sent, by all runs.
func (d *Document) target() string {
	return strings.Join(d.distinct(func(r *Run) string { return r.Target }), ", ")
}

// maxLoads is how many different loads are described.
const maxLoads = 3

// loads describes the loads of all runs, and counts the runs.
func (d *Document) loads() string {
	list := d.distinct((*Run).offered)
	text := strings.Join(list, "; ")
	if len(list) > maxLoads {
		text = format.Counted(len(list), "load")
	}
	return text + ", " + format.Counted(len(d.Runs), "run")
}

// loadNote is a sentence about a run of several: that nothing succeeded, or its backlog.
type loadNote struct {
	Label, Text string
	failed      bool
}

func (n *loadNote) paint(w writer) func(string) string {
	if n.failed {
		return w.Bad
	}
	return w.Warn
}

// loadNotes returns a sentence for each of several runs that did not keep up.
func (d *Document) loadNotes() (list []loadNote) {
	for i := range d.Runs {
		r := &d.Runs[i]
		if r.Failed() {
			list = append(list, loadNote{"FAILED", runName(r, i) + ": " + failedLine, true})
		} else if text := backlogLine(r); text != "" {
			list = append(list, loadNote{"backlog", runName(r, i) + ": " + text, false})
		}
	}
	return list
}

// figureOf returns a figure of a distribution by its name: a dash if nothing was measured.
func figureOf(l Latency, name string) string {
	for _, f := range latencyFigures() {
		if f.name == name {
			return l.text(f)
		}
	}
	return ""
}

// bytesLine states how much data was sent and received.
func bytesLine(r *Run) string {
	return fmt.Sprintf("%s sent, %s received", format.Bytes(r.BytesSent), format.Bytes(r.BytesReceived))
}

// commands returns the commands that repeat the runs: several for combined documents.
func (d *Document) commands() []string {
	if d.Command == "" {
		return nil
	}
	return strings.Split(d.Command, "\n")
}

// rerunNote states which environment variables the commands require.
func (d *Document) rerunNote() string {
	names := secret.References(d.Command)
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("set %s first: credentials are not saved", strings.Join(names, ", "))
}

// statusesLine lists the statuses of the responses; "" if there are none.
func statusesLine(r *Run) string {
	var parts []string
	for _, s := range r.Statuses {
		parts = append(parts, fmt.Sprintf("%d: %s", s.Status, format.Count(s.Count)))
	}
	return strings.Join(parts, ", ")
}

// part returns a number of requests as a share of those offered.
func (r *Run) part(n int64) float64 {
	if r.Offered == 0 {
		return 0
	}
	return float64(n) / float64(r.Offered)
}
