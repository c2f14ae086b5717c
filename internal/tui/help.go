package tui

import (
	"github.com/charmbracelet/bubbles/key"
)

// drawHelp lists the keys and what the words mean.
func (m *model) drawHelp(a area) {
	inner := box(a, "help", nil)
	y := drawKeys(inner.sub(1, 0, inner.width-2, inner.height), m.helpKeys())
	if y+1+len(helpWords()) <= inner.height {
		y++
	}
	words := inner.sub(1, y, inner.width-2, inner.height-y)
	column := 0
	for _, w := range helpWords() {
		column = max(column, width(w[0])+2)
	}
	for i, w := range helpWords() {
		words.write(0, i, accent, w[0])
		words.write(column, i, plain, w[1])
	}
}

// helpKeys are the keys that the run has.
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

// drawKeys draws two keys a line and returns how many lines that took.
func drawKeys(a area, all []key.Binding) (height int) {
	for i, k := range all {
		x := i % 2 * min(a.width/2, 44)
		a.write(x, i/2, accent, k.Help().Key)
		a.write(x+8, i/2, plain, k.Help().Desc)
	}
	return (len(all) + 1) / 2
}

// helpWords are the words of the screen, each in a line.
func helpWords() [][2]string {
	return [][2]string{
		{"request", "what a user wanted; late from the moment it was due"},
		{"attempt", "one message for a request: the first, or a retry"},
		{"ok, goodput", "requests answered in time; how many a second  " + solid.sample()},
		{"offered", "requests that users made  " + sparse.sample()},
		{"attempts", "what the service gets of them  " + dotted.sample()},
		{"failed", "an error, no answer in time, or no connection  " + dashed.sample()},
		{"shed", "not sent on purpose: budget, breaker, in-flight limit"},
		{"late answer", "came when nobody waited any more: wasted work"},
		{"amplification", "attempts by requests: what retries make of the load"},
		{"trigger  █", "a fault with a start and a length; ┊ is a change"},
		{"verdict", "RECOVERED: 95 % as before, for 3 s; COLLAPSED: never half"},
		{"!", "the generator was short of something: doubt that second"},
	}
}
