package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/policytext"
)

// The smallest terminal the screen fits on.
const (
	leastWidth  = 60
	leastHeight = 16
)

// View draws the screen. It depends only on the state and the size.
func (m *model) View() string {
	if m.width == 0 {
		return ""
	}
	m.grid.Reset(m.width, m.height)
	a := m.grid.All()
	switch {
	case m.width < leastWidth || m.height < leastHeight:
		m.drawSmall(a)
	case m.lab != nil && m.lab.over && len(m.lab.results) > 0:
		m.grid.Reset(m.width, m.drawSummary(a))
		m.drawSummary(m.grid.All())
	case m.stage.Run == nil:
		a.Ends(0, m.title(), nil)
		a.Write(1, 2, Bold, m.caption())
		m.drawFooter(a.Row(a.height - 1))
	default:
		m.drawRun(a)
	}
	return m.grid.Text(m.palette)
}

func (m *model) drawSmall(a Area) {
	a.Write(0, 0, Plain, "msctl bench: "+m.snap.Phase.String())
	a.Write(0, 1, Plain, fmt.Sprintf("the terminal is too small (%d×%d): msctl needs %d×%d", m.width, m.height, leastWidth, leastHeight))
	a.Write(0, 2, Plain, "q: stop and report")
}

// drawRun draws a run: its header, its panels, the results so far, and the keys.
func (m *model) drawRun(a Area) {
	p := m.picture()
	if m.help {
		m.drawHelp(a.Sub(0, m.drawWhat(a), a.width, a.height-3))
		m.drawFooter(a.Row(a.height - 1))
		return
	}
	top := m.drawHeader(a, p)
	results := m.strip(a.width, max(a.height/8, 1))
	body := a.Sub(0, top, a.width, a.height-top-len(results)-1)
	p.draw(body)
	for i, r := range results {
		a.Spans(0, top+body.height+i, r...)
	}
	m.drawFooter(a.Row(a.height - 1))
}

// draw draws as many panels as there is room for.
func (p *picture) draw(a Area) {
	side := 31
	if a.width >= 110 {
		side = 40
	}
	wide := a.width >= 160
	left := a.Sub(0, 0, a.width-side, a.height)
	if wide {
		left.width -= a.width / 4
		p.drawColumn(a.Sub(left.width, 0, a.width/4, a.height))
	}
	charts := []panel{p.rates(), p.latencies().withoutTexts()}
	switch {
	case !wide && a.height >= 30:
		third := a.height * 3 / 10
		p.drawThird(left.Sub(0, a.height-third, left.width, third))
		left.height -= third
	case a.height < 11:
		charts = charts[:1]
	}
	stack(left, charts)
	p.figures(a.Sub(a.width-side, 0, side, a.height), !wide)
}

// stack draws panels below each other. The first ones get the remainder of the height.
func stack(a Area, panels []panel) {
	for i := range panels {
		height := (a.height + len(panels) - i - 1) / (len(panels) - i)
		panels[i].draw(a.Sub(0, 0, a.width, height))
		a = a.Sub(0, height, a.width, a.height-height)
	}
}

// drawThird draws the small charts below the others, side by side if there is room.
func (p *picture) drawThird(a Area) {
	amplification, inFlight := p.amplification().withoutTexts(), p.inFlight().withoutTexts()
	if a.width < 64 {
		amplification.draw(a)
		return
	}
	half := a.width / 2
	amplification.draw(a.Sub(0, 0, half, a.height))
	inFlight.draw(a.Sub(half, 0, a.width-half, a.height))
}

// drawColumn draws the small charts and the histogram in a separate column.
func (p *picture) drawColumn(a Area) {
	rows := p.spread()
	histogram := min(len(rows)+2, a.height/2)
	if len(rows) > 0 {
		inner := box(a.Sub(0, a.height-histogram, a.width, histogram), "requests by latency", nil)
		inner = inner.Sub(1, 0, inner.width-2, inner.height)
		for y, r := range rows {
			r.draw(inner, y)
		}
		a.height -= histogram
	}
	stack(a, []panel{p.amplification().withoutTexts(), p.inFlight().withoutTexts()})
}

// drawWhat draws the title, the progress, and the policy. It returns the number of lines.
func (m *model) drawWhat(a Area) (height int) {
	s := &m.snap
	phase := Good
	if s.Phase != load.Loading {
		phase = Warn
	}
	a.Ends(0, m.title(), append([]Span{{phase, "● " + s.Phase.String()}, {Plain, "  "}}, m.progress()...))
	offered := format.Rate(s.Rate) + " offered"
	if s.Users > 0 {
		offered = fmt.Sprintf("%d users", s.Users)
	}
	policy := policytext.Describe(s.Policy)
	if m.preset != "" && !m.altered {
		policy = m.preset + ": " + policy
	}
	a.Ends(1, []Span{{Accent, " " + policy}}, []Span{{Bold, offered + " "}})
	return 2
}

// drawHeader draws the title and, if there are any, the caption and the status of the
// trigger. It returns the number of lines.
func (m *model) drawHeader(a Area, p *picture) (height int) {
	height = m.drawWhat(a)
	if m.lab != nil || m.stage.Caption != nil {
		a.Write(1, height, Bold, m.caption())
		height++
	}
	if t := judge(&m.snap, m.stage.Triggers, p.recent()); t.badge != "" {
		a.Spans(1, height, Span{t.look, "[ " + t.badge + " ]"}, Span{Plain, "  " + t.detail})
		height++
	} else if m.lab != nil {
		height++ // the panels stay where they are
	}
	return height
}

// title returns the title of the screen.
func (m *model) title() []Span {
	title := []Span{{Bold, " msctl bench"}}
	if m.stage.Title != "" {
		title = append(title, Span{Plain, "  "}, Span{Bold, m.stage.Title})
	}
	return append(title, Span{Plain, "  " + m.screen.Pattern}, Span{Dim, "  → " + m.screen.Target})
}

// caption returns the explanation of what is happening.
func (m *model) caption() string {
	switch {
	case m.lab != nil && m.lab.note != "":
		return m.lab.note
	case m.stage.Caption != nil:
		return m.stage.Caption(&m.snap)
	}
	return ""
}

// progress returns the progress of the run, with a bar if its end is known.
func (m *model) progress() []Span {
	s := &m.snap
	const width = 12
	done := -1.0
	text := clockOf(s.Elapsed)
	switch {
	case s.Planned > 0:
		done = s.Elapsed.Seconds() / s.Planned.Seconds()
		text = fmt.Sprintf("%s of %s", clockOf(min(s.Elapsed, s.Planned)), s.Planned)
	case s.Requests > 0:
		done = float64(s.Totals.Offered) / float64(s.Requests)
		text = fmt.Sprintf("%s of %s", format.Count(s.Totals.Offered), format.Count(int64(s.Requests)))
	}
	if done < 0 || m.width < 100 {
		return []Span{{Plain, text + " "}}
	}
	n := int(min(done, 1) * width)
	return []Span{
		{Plain, text + " "}, {Accent, strings.Repeat("━", n)}, {Dim, strings.Repeat("─", width-n)}, {Plain, " "},
	}
}

func clockOf(d time.Duration) string { return d.Truncate(100 * time.Millisecond).String() }

// drawFooter draws the keys, or the result of the last one.
func (m *model) drawFooter(a Area) {
	switch {
	case m.note != "":
		a.Write(1, 0, Warn, m.note)
	case m.stopped && m.snap.Phase != load.Finished:
		a.Write(1, 0, Warn, "stopping: waiting for pending replies")
	case m.stopped && m.lab != nil:
		a.Write(1, 0, Warn, "stopping")
	case m.skipped:
		a.Write(1, 0, Warn, "skipping to the next run")
	case m.lab == nil && m.snap.Phase == load.Finished:
		a.Write(1, 0, Dim, "finished")
	default:
		a.Write(1, 0, Dim, m.hints(a.width-2))
	}
}

// hints returns as many of the available keys as there is room for, and always those for
// help and quit.
func (m *model) hints(room int) string {
	if m.stage.Run == nil {
		return "q stop"
	}
	what := "rate"
	if m.snap.Users > 0 {
		what = "users"
	}
	parts := []string{"↑↓ " + what, "←→ timeout", "+- retries"}
	if _, can := m.stage.Run.(PresetRun); can && len(m.screen.Presets) > 0 {
		parts = append(parts, "p policy")
	}
	if run, can := m.stage.Run.(FaultRun); can && run.CanFire() != "" {
		parts = append(parts, "f "+run.CanFire())
	}
	if m.lab != nil {
		parts = append(parts, "n next")
	}
	for {
		for _, form := range [][3]string{{"  ·  ", "? help", "q stop and report"}, {"  ·  ", "? help", "q stop"}, {" · ", "? help", "q stop"}} {
			text := strings.Join(append(parts[:len(parts):len(parts)], form[1:]...), form[0])
			if Width(text) <= room || len(parts) == 0 {
				return text
			}
		}
		parts = parts[:len(parts)-1]
	}
}
