package tui

import (
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// look is how a cell is painted. There are few, and their colours are of the
// sixteen that a terminal's theme defines, so that they can be read on light
// and dark ones. None carries a meaning that a word or a glyph does not carry,
// too.
type look uint8

// The looks. Badges are for what must be seen from across the room.
const (
	plain look = iota
	bold
	dim
	good
	bad
	warn
	accent
	goodBadge
	badBadge
	warnBadge
	accentBadge
	looks // how many there are
)

// palette is the escape codes of all looks; without colours they are all empty.
type palette struct {
	begin, end [looks]string
}

func newPalette(color bool) *palette {
	profile := termenv.Ascii
	if color {
		profile = termenv.ANSI
	}
	r := lipgloss.NewRenderer(io.Discard, termenv.WithProfile(profile))
	r.SetColorProfile(profile)
	r.SetHasDarkBackground(true) // or the terminal would be asked
	paint := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	badge := func(c string) lipgloss.Style { return paint(c).Bold(true).Reverse(true) }
	p := &palette{}
	for l, style := range [looks]lipgloss.Style{
		plain: r.NewStyle(),
		bold:  r.NewStyle().Bold(true),
		// Bright black is the background of some dark themes; faint is always
		// made of the text's own colour.
		dim:  r.NewStyle().Faint(true),
		good: paint("2"), bad: paint("1"), warn: paint("3"), accent: paint("6"),
		goodBadge: badge("2"), badBadge: badge("1"), warnBadge: badge("3"), accentBadge: badge("6"),
	} {
		p.begin[l], p.end[l], _ = strings.Cut(style.Render("x"), "x")
	}
	return p
}

// visible reports whether a space of that look can be seen.
func (p *palette) visible(l look) bool { return l >= goodBadge && p.begin[l] != "" }
