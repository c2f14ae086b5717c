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
	m.grid.reset(m.width, m.height)
	a := m.grid.all()
	switch {
	case m.width < leastWidth || m.height < leastHeight:
		m.drawSmall(a)
	case m.lab != nil && m.lab.over && len(m.lab.results) > 0:
		m.grid.reset(m.width, m.drawSummary(a))
		m.drawSummary(m.grid.all())
	case m.stage.Run == nil:
		a.ends(0, m.title(), nil)
		a.write(1, 2, bold, m.caption())
		m.drawFooter(a.row(a.height - 1))
	default:
		m.drawRun(a)
	}
	return m.grid.text(m.palette)
}

func (m *model) drawSmall(a area) {
	a.write(0, 0, plain, "msctl bench: "+m.snap.Phase.String())
	a.write(0, 1, plain, fmt.Sprintf("the terminal is too small (%d×%d): msctl needs %d×%d", m.width, m.height, leastWidth, leastHeight))
	a.write(0, 2, plain, "q: stop and report")
}

// drawRun draws a run: its header, its panels, the results so far, and the keys.
func (m *model) drawRun(a area) {
	p := m.picture()
	if m.help {
		m.drawHelp(a.sub(0, m.drawWhat(a), a.width, a.height-3))
		m.drawFooter(a.row(a.height - 1))
		return
	}
	top := m.drawHeader(a, p)
	results := m.strip(a.width, max(a.height/8, 1))
	body := a.sub(0, top, a.width, a.height-top-len(results)-1)
	p.draw(body)
	for i, r := range results {
		a.spans(0, top+body.height+i, r...)
	}
	m.drawFooter(a.row(a.height - 1))
}

// draw draws as many panels as there is room for.
func (p *picture) draw(a area) {
	side := 31
	if a.width >= 110 {
		side = 40
	}
	wide := a.width >= 160
	left := a.sub(0, 0, a.width-side, a.height)
	if wide {
		left.width -= a.width / 4
		p.drawColumn(a.sub(left.width, 0, a.width/4, a.height))
	}
	charts := []panel{p.rates(), p.latencies().withoutTexts()}
	switch {
	case !wide && a.height >= 30:
		third := a.height * 3 / 10
		p.drawThird(left.sub(0, a.height-third, left.width, third))
		left.height -= third
	case a.height < 11:
		charts = charts[:1]
	}
	stack(left, charts)
	p.figures(a.sub(a.width-side, 0, side, a.height), !wide)
}

// stack draws panels below each other. The first ones get the remainder of the height.
func stack(a area, panels []panel) {
	for i := range panels {
		height := (a.height + len(panels) - i - 1) / (len(panels) - i)
		panels[i].draw(a.sub(0, 0, a.width, height))
		a = a.sub(0, height, a.width, a.height-height)
	}
}

// drawThird draws the small charts below the others, side by side if there is room.
func (p *picture) drawThird(a area) {
	amplification, inFlight := p.amplification().withoutTexts(), p.inFlight().withoutTexts()
	if a.width < 64 {
		amplification.draw(a)
		return
	}
	half := a.width / 2
	amplification.draw(a.sub(0, 0, half, a.height))
	inFlight.draw(a.sub(half, 0, a.width-half, a.height))
}

// drawColumn draws the small charts and the histogram in a separate column.
func (p *picture) drawColumn(a area) {
	rows := p.spread()
	histogram := min(len(rows)+2, a.height/2)
	if len(rows) > 0 {
		inner := box(a.sub(0, a.height-histogram, a.width, histogram), "requests by latency", nil)
		inner = inner.sub(1, 0, inner.width-2, inner.height)
		for y, r := range rows {
			r.draw(inner, y)
		}
		a.height -= histogram
	}
	stack(a, []panel{p.amplification().withoutTexts(), p.inFlight().withoutTexts()})
}

// drawWhat draws the title, the progress, and the policy. It returns the number of lines.
func (m *model) drawWhat(a area) (height int) {
	s := &m.snap
	phase := good
	if s.Phase != load.Loading {
		phase = warn
	}
	a.ends(0, m.title(), append([]span{{phase, "● " + s.Phase.String()}, {plain, "  "}}, m.progress()...))
	offered := format.Rate(s.Rate) + " offered"
	if s.Users > 0 {
		offered = fmt.Sprintf("%d users", s.Users)
	}
	policy := policytext.Describe(s.Policy)
	if m.preset != "" && !m.altered {
		policy = m.preset + ": " + policy
	}
	a.ends(1, []span{{accent, " " + policy}}, []span{{bold, offered + " "}})
	return 2
}

// drawHeader draws the title and, if there are any, the caption and the status of the
// trigger. It returns the number of lines.
func (m *model) drawHeader(a area, p *picture) (height int) {
	height = m.drawWhat(a)
	if m.lab != nil || m.stage.Caption != nil {
		a.write(1, height, bold, m.caption())
		height++
	}
	if t := judge(&m.snap, m.stage.Triggers, p.recent()); t.badge != "" {
		a.spans(1, height, span{t.look, "[ " + t.badge + " ]"}, span{plain, "  " + t.detail})
		height++
	} else if m.lab != nil {
		height++ // the panels stay where they are
	}
	return height
}

// title returns the title of the screen.
func (m *model) title() []span {
	title := []span{{bold, " msctl bench"}}
	if m.stage.Title != "" {
		title = append(title, span{plain, "  "}, span{bold, m.stage.Title})
	}
	return append(title, span{plain, "  " + m.screen.Pattern}, span{dim, "  → " + m.screen.Target})
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
func (m *model) progress() []span {
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
		return []span{{plain, text + " "}}
	}
	n := int(min(done, 1) * width)
	return []span{
		{plain, text + " "}, {accent, strings.Repeat("━", n)}, {dim, strings.Repeat("─", width-n)}, {plain, " "},
	}
}

func clockOf(d time.Duration) string { return d.Truncate(100 * time.Millisecond).String() }

// drawFooter draws the keys, or the result of the last one.
func (m *model) drawFooter(a area) {
	switch {
	case m.note != "":
		a.write(1, 0, warn, m.note)
	case m.stopped && m.snap.Phase != load.Finished:
		a.write(1, 0, warn, "stopping: waiting for pending replies")
	case m.stopped && m.lab != nil:
		a.write(1, 0, warn, "stopping")
	case m.skipped:
		a.write(1, 0, warn, "skipping to the next run")
	case m.lab == nil && m.snap.Phase == load.Finished:
		a.write(1, 0, dim, "finished")
	default:
		a.write(1, 0, dim, m.hints(a.width-2))
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
			if width(text) <= room || len(parts) == 0 {
				return text
			}
		}
		parts = parts[:len(parts)-1]
	}
}
