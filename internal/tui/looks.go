package tui

import (
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// Look is the style of a cell. Looks use only the sixteen colors that a terminal's theme
// defines, so that they are readable on light and dark themes. No meaning depends on a look
// alone: a word or a glyph always expresses it, too.
type Look uint8

// The looks. Badges are for the most prominent information.
const (
	Plain Look = iota
	Bold
	Dim
	Good
	Bad
	Warn
	Accent
	name0 // of services; see ServiceLook
	name1
	name2
	name3
	name4
	name5
	GoodBadge
	BadBadge
	WarnBadge
	AccentBadge
	looks // the number of looks
)

// ServiceLook returns the look of the name of the n-th service, from 0. Those of consecutive
// services are different.
func ServiceLook(n int) Look { return name0 + Look(max(n, 0)%6) }

// Palette contains the escape codes of all looks. Without colors, all are empty.
type Palette struct {
	begin, end [looks]string
}

// NewPalette returns the escape codes of a terminal with sixteen colors, or none.
func NewPalette(color bool) *Palette {
	profile := termenv.Ascii
	if color {
		profile = termenv.ANSI
	}
	r := lipgloss.NewRenderer(io.Discard, termenv.WithProfile(profile))
	r.SetColorProfile(profile)
	r.SetHasDarkBackground(true) // otherwise lipgloss would query the terminal
	paint := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	badge := func(c string) lipgloss.Style { return paint(c).Bold(true).Reverse(true) }
	p := &Palette{}
	for l, style := range [looks]lipgloss.Style{
		Plain: r.NewStyle(),
		Bold:  r.NewStyle().Bold(true),
		// Bright black is the background of some dark themes; faint is always
		// derived from the color of the text.
		Dim:  r.NewStyle().Faint(true),
		Good: paint("2"), Bad: paint("1"), Warn: paint("3"), Accent: paint("6"),
		name0: paint("6"), name1: paint("5"), name2: paint("4"), name3: paint("14"), name4: paint("13"), name5: paint("12"),
		GoodBadge: badge("2"), BadBadge: badge("1"), WarnBadge: badge("3"), AccentBadge: badge("6"),
	} {
		p.begin[l], p.end[l], _ = strings.Cut(style.Render("x"), "x")
	}
	return p
}

// visible reports whether a space with a look is visible.
func (p *Palette) visible(l Look) bool { return l >= GoodBadge && p.begin[l] != "" }
