package tui

import (
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// look is the style of a cell. Looks use only the sixteen colors that a terminal's theme
// defines, so that they are readable on light and dark themes. No meaning depends on a look
// alone: a word or a glyph always expresses it, too.
type look uint8

// The looks. Badges are for the most prominent information.
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
	looks // the number of looks
)

// palette contains the escape codes of all looks. Without colors, all are empty.
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
	r.SetHasDarkBackground(true) // otherwise lipgloss would query the terminal
	paint := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	badge := func(c string) lipgloss.Style { return paint(c).Bold(true).Reverse(true) }
	p := &palette{}
	for l, style := range [looks]lipgloss.Style{
		plain: r.NewStyle(),
		bold:  r.NewStyle().Bold(true),
		// Bright black is the background of some dark themes; faint is always
		// derived from the color of the text.
		dim:  r.NewStyle().Faint(true),
		good: paint("2"), bad: paint("1"), warn: paint("3"), accent: paint("6"),
		goodBadge: badge("2"), badBadge: badge("1"), warnBadge: badge("3"), accentBadge: badge("6"),
	} {
		p.begin[l], p.end[l], _ = strings.Cut(style.Render("x"), "x")
	}
	return p
}

// visible reports whether a space with a look is visible.
func (p *palette) visible(l look) bool { return l >= goodBadge && p.begin[l] != "" }
