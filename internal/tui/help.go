package tui

import (
	"github.com/charmbracelet/bubbles/key"
)

// drawHelp draws the keys and the terms.
func (m *model) drawHelp(a Area) {
	inner := box(a, "help", nil)
	y := DrawKeys(inner.Sub(1, 0, inner.width-2, inner.height), m.helpKeys())
	if y+1+len(helpWords()) <= inner.height {
		y++
	}
	words := inner.Sub(1, y, inner.width-2, inner.height-y)
	column := 0
	for _, w := range helpWords() {
		column = max(column, Width(w[0])+2)
	}
	for i, w := range helpWords() {
		words.Write(0, i, Accent, w[0])
		words.Write(column, i, Plain, w[1])
	}
}

// helpKeys returns the keys of the run.
func (m *model) helpKeys() []key.Binding {
	k := &m.keys
	all := []key.Binding{k.more, k.less, k.longer, k.shorter, k.moreRetries, k.fewerRetries}
	if _, can := m.stage.Run.(PresetRun); can {
		all = append(all, k.preset, k.presetBack)
	}
	if _, can := m.stage.Run.(FaultRun); can {
		all = append(all, k.fire)
	}
	if m.lab != nil {
		all = append(all, k.next)
	}
	return append(all, k.help, k.quit, k.interrupt)
}

// DrawKeys draws two keys per line and returns the number of lines.
func DrawKeys(a Area, all []key.Binding) (height int) {
	for i, k := range all {
		x := i % 2 * min(a.width/2, 44)
		a.Write(x, i/2, Accent, k.Help().Key)
		a.Write(x+8, i/2, Plain, k.Help().Desc)
	}
	return (len(all) + 1) / 2
}

// helpWords returns the terms of the screen with their definitions.
func helpWords() [][2]string {
	return [][2]string{
		{"request", "one operation, timed from when it is due; latencies: ok ones"},
		{"attempt", "one message for a request: the first, a retry, or a hedge"},
		{"ok, goodput", "successful requests; their rate per second  " + solid.sample()},
		{"offered", "requests that are due  " + sparse.sample()},
		{"attempts", "messages sent for them  " + dotted.sample()},
		{"failed", "error, timeout, or no connection  " + dashed.sample()},
		{"shed", "deliberately not sent: budget, breaker, in-flight limit"},
		{"late answer", "a reply after its attempt timed out: wasted work"},
		{"amplification", "attempts per request: how much retries multiply the load"},
		{"trigger  █", "a fault with a start and a duration; ┊ is a live change"},
		{"verdict", "on time again: 95% for 3 s: RECOVERED; below 50%: COLLAPSED"},
		{"!", "the generator was the limit, so this second is doubtful"},
	}
}
