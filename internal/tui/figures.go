package tui

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// row is a line of the column of figures, with an optional bar in proportion to a share.
type row struct {
	spans []Span
	share float64
	look  Look // of the bar
}

func (r row) draw(a Area, y int) {
	x := a.Spans(0, y, r.spans...)
	a.Write(x, y, r.look, bar(r.share, a.width-x))
}

// bar returns a bar of at most room columns. A share above 0 is always visible.
func bar(share float64, room int) string {
	if room < 5 || share <= 0 {
		return ""
	}
	eighths := max(int(min(share, 1)*float64(room-1)*8+0.5), 1)
	text := " " + strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// figures draws the column of figures: outcomes, latencies, attempts, and as much of the
// rest as fits.
func (p *picture) figures(a Area, spread bool) {
	inner := box(a, "so far", nil)
	inner = inner.Sub(1, 0, inner.width-2, inner.height)
	rows := p.essentials(inner.height)
	add := func(heading string, more []row, least int) {
		if room := inner.height - len(rows) - 2; len(more) > 0 && room >= least {
			rows = append(rows, row{}, row{spans: []Span{{Bold, heading}}})
			rows = append(rows, more[:min(len(more), room)]...)
		}
	}
	add("lateness", p.lateness(), 3)
	if spread {
		s := p.spread()
		add("requests by latency", s, len(s)+min(len(p.snap.Errors)+2, 4))
	}
	if len(p.snap.Messages) > 1 {
		add("messages", p.messages(), 1)
	}
	add("statuses", p.statuses(), 1)
	add("errors", p.failures(), 1)
	for y, r := range rows[:min(len(rows), inner.height)] {
		r.draw(inner, y)
	}
}

// essentials returns the sections that are always shown, without their less important lines
// if there is no room.
func (p *picture) essentials(room int) []row {
	sections := [][]row{p.outcomes(true), p.quantiles(true), p.attempts()}
	if rowsOf(sections) > room {
		sections[0] = p.outcomes(false)
	}
	if rowsOf(sections) > room {
		sections[1] = p.quantiles(false)
	}
	gap := rowsOf(sections)+len(sections)-1 <= room
	var rows []row
	for i, s := range sections {
		if i > 0 && gap {
			rows = append(rows, row{})
		}
		rows = append(rows, s...)
	}
	return rows
}

func rowsOf(sections [][]row) (n int) {
	for _, s := range sections {
		n += len(s)
	}
	return n
}

// outcomes returns a row for each outcome with a bar of its share. Outcomes without requests
// are included if all is set.
func (p *picture) outcomes(all bool) []row {
	t := &p.snap.Totals
	rows := []row{pair("offered", format.Count(t.Offered), Bold)}
	for _, o := range load.Outcomes() {
		n, share := t.Outcomes[o], t.Share(o)
		text, l := fmt.Sprintf("%-11s%8s%8s", o, format.Count(n), format.Percent(share)), Bad
		switch {
		case n == 0 && !all && o != load.OK:
			continue
		case n == 0:
			text, l = fmt.Sprintf("%-11s%8s", o, "0"), Dim
		case o == load.OK:
			l = Good
		}
		rows = append(rows, row{[]Span{{l, text}}, share, l})
	}
	return rows
}

// quantiles returns the table of latencies: of ok requests, of all, and of attempts.
func (p *picture) quantiles(all bool) []row {
	s := p.snap
	column := func(l Look, name, ok, every, attempt string) row {
		return row{spans: []Span{{l, fmt.Sprintf("%-5s%7s%7s%8s", name, ok, every, attempt)}}}
	}
	value := func(l *load.Latency, of func(*load.Latency) time.Duration) string {
		if l.Count == 0 {
			return "-"
		}
		return format.Duration(of(l))
	}
	rows := []row{column(Dim, "", "ok", "all", "attempt")}
	for _, q := range []struct {
		name     string
		of       func(*load.Latency) time.Duration
		optional bool
	}{
		{"p50", func(l *load.Latency) time.Duration { return l.P50 }, false},
		{"p90", func(l *load.Latency) time.Duration { return l.P90 }, true},
		{"p95", func(l *load.Latency) time.Duration { return l.P95 }, true},
		{"p99", func(l *load.Latency) time.Duration { return l.P99 }, false},
		{"p99.9", func(l *load.Latency) time.Duration { return l.P999 }, true},
		{"max", func(l *load.Latency) time.Duration { return l.Max }, false},
	} {
		if all || !q.optional {
			rows = append(rows, column(Plain, q.name, value(&s.OK, q.of), value(&s.All, q.of), value(&s.Attempt, q.of)))
		}
	}
	return rows
}

// attempts returns the figures of attempts.
func (p *picture) attempts() []row {
	s, t := p.snap, &p.snap.Totals
	rows := []row{
		pair("in flight", format.Count(s.InFlight), Bold),
		pair("amplification", fmt.Sprintf("%.2f", t.Amplification()), warnIf(t.Amplification() > 1.2)),
		pair("wasted work", format.Percent(t.Wasted()), warnIf(t.Wasted() > 0.05)),
		pair("late answers", format.Count(t.Late), Plain),
	}
	if s.Objective.Limit > 0 {
		rows = append(rows, pair("on time", format.Percent(t.OnTimeShare()), Plain))
	}
	for _, rare := range []struct {
		name string
		n    int64
		look Look
	}{
		{"over budget", t.OverBudget, Warn}, {"breaker open", t.BreakerOpen, Warn}, {"hedges", t.Hedges, Plain},
	} {
		if rare.n > 0 {
			rows = append(rows, pair(rare.name, format.Count(rare.n), rare.look))
		}
	}
	if s.Backlog.Left {
		rows = append(rows, pair("backlog", format.Count(s.Backlog.Peak), Warn), pair("drained in", format.Seconds(s.Backlog.Drain), Warn))
	}
	switch {
	case s.Last.Starved > 0:
		rows = append(rows, pair("! no files left", format.Count(s.Last.Starved), Warn))
	case s.Last.Jump != 0:
		rows = append(rows, pair("! clock jumped", format.Duration(s.Last.Jump), Warn))
	case s.Last.Doubtful():
		rows = append(rows, pair("! sent late by", format.Duration(s.Last.Lag), Warn))
	}
	return rows
}

// lateness returns how long after their intended starts requests were sent. Those of users
// are never late.
func (p *picture) lateness() []row {
	lag := &p.snap.Lag
	if lag.Count == 0 || p.snap.Users > 0 {
		return nil
	}
	return []row{
		pair("late p50", format.Duration(lag.P50), Plain), pair("late p99", format.Duration(lag.P99), Plain), pair("late max", format.Duration(lag.Max), Plain),
	}
}

func warnIf(yes bool) Look {
	if yes {
		return Warn
	}
	return Plain
}

// pair returns a row with a name and a value, aligned with the counts.
func pair(name, value string, l Look) row {
	const column = 19
	gap := strings.Repeat(" ", max(column-Width(name)-Width(value), 1))
	return row{spans: []Span{{Plain, name + gap}, {l, value}}}
}

// spread returns the histogram of the latencies of ok requests.
func (p *picture) spread() []row {
	var all, most int64
	for _, b := range p.snap.Spread {
		all += b.Count
		most = max(most, b.Count)
	}
	var rows []row
	for _, b := range p.snap.Spread {
		text := fmt.Sprintf("≤%6s%8s", b.UpTo, format.Percent(float64(b.Count)/float64(all)))
		rows = append(rows, row{[]Span{{Plain, text}}, float64(b.Count) / float64(most), Accent})
	}
	return rows
}

// messages returns a row for each message.
func (p *picture) messages() []row {
	var rows []row
	for _, m := range p.snap.Messages {
		text, l := "-", Plain
		if m.Finished() > 0 {
			share := m.Share(load.OK)
			text, l = percent(share)+" ok", warnIf(share < 0.95)
		}
		figures := fmt.Sprintf("%8s %8s ", format.Duration(m.Latency.P99), text)
		rows = append(rows, row{spans: []Span{{l, figures}, {Plain, m.Name}}})
	}
	return rows
}

// statuses returns a row for each status of HTTP.
func (p *picture) statuses() []row {
	var rows []row
	for _, s := range p.snap.Statuses {
		rows = append(rows, pair(strconv.Itoa(s.Status), format.Count(s.Count), warnIf(s.Status >= 300)))
	}
	return rows
}

// failures returns the most frequent errors.
func (p *picture) failures() []row {
	var rows []row
	for _, e := range p.snap.Errors {
		text := e.Text
		if e.Status > 0 {
			text = fmt.Sprintf("%d %s", e.Status, e.Text)
		}
		rows = append(rows, row{spans: []Span{{Bad, fmt.Sprintf("%7s ", format.Count(e.Count))}, {Plain, text}}})
	}
	return rows
}
