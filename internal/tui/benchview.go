package tui

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/NimbleMarkets/ntcharts/canvas"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
)

// The smallest terminal the screen fits on.
const (
	leastWidth  = 60
	leastHeight = 16
)

// View draws the screen. It is pure: the same snapshot and size give the same
// text.
func (m *benchModel) View() string {
	if m.width == 0 {
		return ""
	}
	if m.width < leastWidth || m.height < leastHeight {
		return fit(fmt.Sprintf("msctl bench: %s\nthis terminal is too small (%d×%d, needs %d×%d)\nq stops and reports",
			m.snap.Phase, m.width, m.height, leastWidth, leastHeight), m.width, m.height)
	}
	side := 31
	if m.width >= 110 {
		side = 40
	}
	body := m.height - 3 // without two lines of header and one of footer
	if m.help {
		return strings.Join([]string{m.header(), m.helpBox(m.width, body), m.footer()}, "\n")
	}
	top := (body + 1) / 2
	left := lipgloss.JoinVertical(lipgloss.Left,
		m.rates(m.width-side, top), m.latencies(m.width-side, body-top))
	return strings.Join([]string{
		m.header(),
		lipgloss.JoinHorizontal(lipgloss.Top, left, m.figures(side, body)),
		fit(m.footer(), m.width, 1),
	}, "\n")
}

// header is two lines: what is loaded and how far the run is, and its policy.
func (m *benchModel) header() string {
	s := &m.snap
	title := " " + m.style.bold.Render("msctl bench") + "  " + m.screen.Pattern + m.style.dim.Render("  → "+m.screen.Target)
	paint := m.style.ok
	if s.Phase != load.Loading {
		paint = m.style.warn
	}
	progress := paint.Render("● "+s.Phase.String()) + "  " + m.progress()
	offered := fmt.Sprintf("%s offered", report.Rate(s.Rate))
	if s.Users > 0 {
		offered = fmt.Sprintf("%d users", s.Users)
	}
	return between(title, progress+" ", m.width) + "\n" +
		between(" "+m.style.accent.Render(s.Policy.String()), m.style.bold.Render(offered)+" ", m.width)
}

// progress is how far the run is: a bar where its end is known.
func (m *benchModel) progress() string {
	s := &m.snap
	const width = 12
	done := -1.0
	text := s.Elapsed.Truncate(100 * time.Millisecond).String()
	switch {
	case s.Planned > 0:
		done = s.Elapsed.Seconds() / s.Planned.Seconds()
		text = fmt.Sprintf("%s of %s", min(s.Elapsed, s.Planned).Truncate(100*time.Millisecond), s.Planned)
	case s.Requests > 0:
		done = float64(s.Totals.Offered) / float64(s.Requests)
		text = fmt.Sprintf("%s of %s", report.Count(s.Totals.Offered), report.Count(int64(s.Requests)))
	}
	if done < 0 || m.width < 100 {
		return text
	}
	n := int(min(done, 1) * width)
	return text + " " + m.style.accent.Render(strings.Repeat("━", n)) + m.style.dim.Render(strings.Repeat("─", width-n))
}

// rates is the panel of what happens a second.
func (m *benchModel) rates(width, height int) string {
	points := m.points()
	window := m.window()
	lines := []line{
		{smooth(points, m.snap.Step, func(p load.Point) float64 { return float64(p.Offered) }), m.style.plain, 2},
		{smooth(points, m.snap.Step, func(p load.Point) float64 { return float64(p.Attempts) }), m.style.warn, 1},
		{smooth(points, m.snap.Step, func(p load.Point) float64 { return float64(p.Failed + p.Shed) }), m.style.bad, 0},
		{smooth(points, m.snap.Step, func(p load.Point) float64 { return float64(p.OK) }), m.style.ok, 0},
	}
	var most float64
	var now [4]float64
	for i, l := range lines {
		for _, p := range l.points {
			most = max(most, p.Y)
		}
		if n := len(l.points); n > 0 {
			now[i] = l.points[n-1].Y
		}
	}
	legend := []string{
		m.style.ok.Render("ok " + short(round3(now[3]))), m.style.plain.Render("offered " + short(round3(now[0]))),
		m.style.warn.Render("attempts " + short(round3(now[1]))), m.style.bad.Render("failed " + short(round3(now[2]))),
	}
	c := chart{from: window[0], to: window[1], axis: linear(most * 1.05), lines: lines, dim: m.style.dim, marks: m.marks()}
	return m.panel("rates", legend, &c, width, height)
}

// latencies is the panel of request latencies.
func (m *benchModel) latencies(width, height int) string {
	points := m.points()
	window := m.window()
	var lines []line
	least, most := math.Inf(1), 0.0
	for i, of := range []func(load.Point) time.Duration{
		func(p load.Point) time.Duration { return p.P99 },
		func(p load.Point) time.Duration { return p.P90 },
		func(p load.Point) time.Duration { return p.P50 },
	} {
		l := line{style: []lipgloss.Style{m.style.bad, m.style.warn, m.style.ok}[i], gap: []int{0, 1, 0}[i]}
		for _, p := range points {
			v := math.NaN()
			if d := of(p); d > 0 {
				v = d.Seconds()
				least, most = min(least, v), max(most, v)
			}
			l.points = append(l.points, canvas.Float64Point{X: (p.At + m.snap.Step).Seconds(), Y: v})
		}
		lines = append(lines, l)
	}
	if math.IsInf(least, 1) {
		least, most = 1e-3, 1
	}
	p50, p90, p99 := m.snap.Last.P50, m.snap.Last.P90, m.snap.Last.P99
	if m.snap.Phase == load.Finished {
		p50, p90, p99 = m.snap.Request.P50, m.snap.Request.P90, m.snap.Request.P99
	}
	legend := []string{
		m.style.ok.Render("p50 " + report.Duration(p50)), m.style.warn.Render("p90 " + report.Duration(p90)),
		m.style.bad.Render("p99 " + report.Duration(p99)),
	}
	marks := m.marks()
	for i := range marks {
		marks[i].text = "" // it stands in the panel above
	}
	c := chart{from: window[0], to: window[1], axis: decades(least, most), lines: lines, dim: m.style.dim, marks: marks}
	return m.panel("latency", legend, &c, width, height)
}

// points are the complete points of the time series while requests were
// offered: what comes after is the end of the run, not the service.
func (m *benchModel) points() []load.Point {
	s := &m.snap
	points := s.Recent[:max(len(s.Recent)-1, 0)]
	if s.Phase >= load.Draining {
		for len(points) > 0 && points[len(points)-1].At+s.Step > s.Warmup+s.Counted {
			points = points[:len(points)-1]
		}
	}
	return points
}

// The time axis holds the whole run where it is short enough, and else the
// latest part of it.
const (
	longestWindow = 4 * time.Minute
	firstWindow   = 30 * time.Second
)

func (m *benchModel) window() [2]time.Duration {
	s := &m.snap
	end := max(s.Planned, s.Elapsed)
	switch {
	case s.Phase >= load.Draining:
		end = s.Warmup + s.Counted
	case s.Planned == 0:
		end = max(s.Elapsed, firstWindow)
	}
	if end <= longestWindow {
		return [2]time.Duration{0, max(end, time.Second)}
	}
	to := max(s.Elapsed, longestWindow)
	return [2]time.Duration{to - longestWindow, to}
}

func (m *benchModel) marks() []mark {
	var marks []mark
	for _, k := range m.snap.Marks {
		marks = append(marks, mark{k.At, k.Text, m.style.accent})
	}
	if w := m.snap.Warmup; w > 0 {
		marks = append(marks, mark{w, "warm", m.style.dim})
	}
	return marks
}

// smooth is a count a second: of the second that ends with each point, because
// a single point of a slow run holds few requests.
func smooth(points []load.Point, step time.Duration, of func(load.Point) float64) []canvas.Float64Point {
	out := make([]canvas.Float64Point, len(points))
	wide := max(int(time.Second/max(step, time.Millisecond)), 1)
	sum := 0.0
	for i, p := range points {
		sum += of(p)
		if i >= wide {
			sum -= of(points[i-wide])
		}
		span := time.Duration(min(i+1, wide)) * step
		out[i] = canvas.Float64Point{X: (p.At + step).Seconds(), Y: sum / span.Seconds()}
	}
	return out
}

func round3(v float64) float64 {
	if v >= 100 {
		return math.Round(v)
	}
	return math.Round(v*10) / 10
}

// panel is a chart in a frame with its title and legend in the upper edge.
func (m *benchModel) panel(title string, legend []string, c *chart, width, height int) string {
	c.width, c.height = width-3, height-2
	return m.frame(title, legend, strings.Split(c.view(), "\n"), width, height)
}

// frame draws a border round lines; a title and as much of a legend as there is
// room for stand in its upper edge.
func (m *benchModel) frame(title string, legend, lines []string, width, height int) string {
	dim := m.style.dim.Render
	head := dim("╭─ ") + m.style.bold.Render(title) + " "
	for n, gap := len(legend), "  "; n > 0; gap = " " {
		text := dim("─ ") + strings.Join(legend[:n], gap) + " "
		if lipgloss.Width(head)+lipgloss.Width(text) < width {
			head += text
			break
		}
		if gap == " " {
			n--
		}
	}
	var b strings.Builder
	b.WriteString(head + dim(strings.Repeat("─", max(width-1-lipgloss.Width(head), 0))+"╮"))
	for i := range height - 2 {
		text := ""
		if i < len(lines) {
			text = lines[i]
		}
		b.WriteString("\n" + dim("│") + fit(text, width-2, 1) + dim("│"))
	}
	b.WriteString("\n" + dim("╰"+strings.Repeat("─", width-2)+"╯"))
	return b.String()
}

// helpBox lists the keys and what the words mean.
func (m *benchModel) helpBox(width, height int) string {
	lines := []string{""}
	for _, k := range m.keys.all() {
		h := k.Help()
		lines = append(lines, "  "+m.style.accent.Render(fmt.Sprintf("%-7s", h.Key))+h.Desc)
	}
	lines = append(lines, "",
		"  A request is what a user wanted; it is late from the moment it was due.",
		"  An attempt is one message for it; a late answer came after its attempt",
		"  had been given up: work the service did for nobody.")
	return m.frame("help", nil, slices.Clip(lines), width, height)
}

// between puts left and right at the ends of a line.
func between(left, right string, width int) string {
	room := width - lipgloss.Width(right) - 1
	if room < 10 {
		return fit(left, width, 1)
	}
	return fit(left, room, 1) + " " + right
}

// fit cuts and fills text to width columns and height lines.
func fit(text string, width, height int) string {
	lines := strings.Split(text, "\n")
	out := make([]string, height)
	for i := range out {
		if i < len(lines) {
			out[i] = ansi.Truncate(lines[i], width, "…")
		}
		out[i] += strings.Repeat(" ", max(width-lipgloss.Width(out[i]), 0))
	}
	return strings.Join(out, "\n")
}
