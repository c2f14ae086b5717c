package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
)

// figures is the column of numbers: outcomes, latencies, attempts, and as many
// errors as there is room for.
func (m *benchModel) figures(width, height int) string {
	inner := width - 4
	sections := [][]string{m.outcomes(inner), m.quantiles(), m.attempts()}
	lines := []string{}
	used := 0
	for _, s := range sections {
		used += len(s)
	}
	gap := used+len(sections)-1 <= height-2
	for i, s := range sections {
		if i > 0 && gap {
			lines = append(lines, "")
		}
		lines = append(lines, s...)
	}
	lines = append(lines, m.spread(inner, height-2-len(lines)-2-min(len(m.snap.Errors)+2, 5))...)
	if room := height - 2 - len(lines) - 2; room > 0 {
		lines = append(lines, m.failures(inner, room)...)
	}
	for i, l := range lines {
		lines[i] = " " + l
	}
	return m.frame("so far", nil, lines, width, height)
}

// outcomes has a line for each outcome with a bar of its share.
func (m *benchModel) outcomes(width int) []string {
	t := &m.snap.Totals
	lines := []string{pair("offered", report.Count(t.Offered), m.style.bold)}
	for _, o := range load.Outcomes() {
		n, share := t.Outcomes[o], t.Share(o)
		paint := m.style.bad
		switch {
		case n == 0:
			paint = m.style.dim
		case o == load.OK:
			paint = m.style.ok
		}
		text := fmt.Sprintf("%-11s%8s%8s", o, report.Count(n), report.Percent(share))
		if n == 0 {
			text = fmt.Sprintf("%-11s%8s", o, "0")
		}
		lines = append(lines, paint.Render(text)+bar(share, width-lipgloss.Width(text), paint))
	}
	return lines
}

// bar fills what is left of a line by a share; what is more than nothing shows.
func bar(share float64, room int, paint lipgloss.Style) string {
	if room < 5 || share <= 0 {
		return ""
	}
	eighths := max(int(share*float64(room-1)*8+0.5), 1)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return " " + paint.Render(text)
}

// quantiles is the table of both latencies.
func (m *benchModel) quantiles() []string {
	request, attempt := m.snap.Request, m.snap.Attempt
	column := func(a, b, c string) string { return fmt.Sprintf("%-7s%10s%10s", a, b, c) }
	lines := []string{m.style.dim.Render(column("", "request", "attempt"))}
	for _, row := range []struct {
		name string
		of   func(load.Latency) time.Duration
	}{
		{"p50", func(l load.Latency) time.Duration { return l.P50 }},
		{"p90", func(l load.Latency) time.Duration { return l.P90 }},
		{"p99", func(l load.Latency) time.Duration { return l.P99 }},
		{"p99.9", func(l load.Latency) time.Duration { return l.P999 }},
		{"max", func(l load.Latency) time.Duration { return l.Max }},
	} {
		lines = append(lines, column(row.name, report.Duration(row.of(request)), report.Duration(row.of(attempt))))
	}
	return lines
}

// spread is the histogram of the request latencies, if there is room for it.
func (m *benchModel) spread(width, room int) []string {
	buckets := m.snap.Spread
	if len(buckets) == 0 || len(buckets) > room {
		return nil
	}
	var all, most int64
	for _, b := range buckets {
		all += b.Count
		most = max(most, b.Count)
	}
	lines := []string{"", m.style.bold.Render("requests by latency")}
	for _, b := range buckets {
		text := fmt.Sprintf("≤%6s%8s", b.UpTo, report.Percent(float64(b.Count)/float64(all)))
		lines = append(lines, m.style.plain.Render(text)+bar(float64(b.Count)/float64(most), width-lipgloss.Width(text), m.style.accent))
	}
	return lines
}

// attempts tells what the policy makes of the load.
func (m *benchModel) attempts() []string {
	s, t := &m.snap, &m.snap.Totals
	amplified := m.style.plain
	if t.Amplification() > 1.2 {
		amplified = m.style.warn
	}
	wasted := m.style.plain
	if t.Wasted() > 0.05 {
		wasted = m.style.warn
	}
	lines := []string{
		pair("in flight", report.Count(s.InFlight), m.style.bold),
		pair("amplification", fmt.Sprintf("%.2f", t.Amplification()), amplified),
		pair("wasted work", report.Percent(t.Wasted()), wasted),
		pair("late answers", report.Count(t.Late), m.style.plain),
	}
	if t.OverBudget > 0 {
		lines = append(lines, pair("over budget", report.Count(t.OverBudget), m.style.warn))
	}
	return lines
}

// pair is a name and its value, the value in the column of counts.
func pair(name, value string, paint lipgloss.Style) string {
	const column = 19
	return name + strings.Repeat(" ", max(column-lipgloss.Width(name)-lipgloss.Width(value), 1)) + paint.Render(value)
}

// failures lists the most frequent errors, below a heading.
func (m *benchModel) failures(width, room int) []string {
	if len(m.snap.Errors) == 0 {
		return nil
	}
	lines := []string{"", m.style.bold.Render("errors")}
	for _, e := range m.snap.Errors[:min(len(m.snap.Errors), room)] {
		what := ""
		if e.Status > 0 {
			what = fmt.Sprintf("%d ", e.Status)
		}
		lines = append(lines, fit(m.style.bad.Render(fmt.Sprintf("%7s ", report.Count(e.Count)))+what+e.Text, width, 1))
	}
	return lines
}
