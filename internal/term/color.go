package term

import (
	"fmt"
	"hash/fnv"

	"github.com/fatih/color"
)

// ColorMode is the value of --color. Its zero value is [ColorAuto].
type ColorMode int

const (
	// ColorAuto uses color if the stream is a terminal, unless NO_COLOR is set or
	// the terminal is dumb.
	ColorAuto ColorMode = iota
	// ColorAlways uses color even if the stream is a pipe.
	ColorAlways
	// ColorNever never uses color.
	ColorNever
)

// ParseColorMode parses "auto", "always", or "never".
func ParseColorMode(text string) (ColorMode, error) {
	switch text {
	case "auto":
		return ColorAuto, nil
	case "always":
		return ColorAlways, nil
	case "never":
		return ColorNever, nil
	}
	return ColorAuto, fmt.Errorf("unknown color mode %q: use auto, always, or never", text)
}

// SetColor sets the mode of both streams. Call it before the IO is shared.
func (s *IO) SetColor(mode ColorMode) { s.mode = mode }

// ColorMode returns the mode.
func (s *IO) ColorMode() ColorMode { return s.mode }

// OutPalette returns the palette for Out.
func (s *IO) OutPalette() Palette { return NewPalette(s.colored(s.facts.StdoutTTY)) }

// ErrPalette returns the palette for Err.
func (s *IO) ErrPalette() Palette { return NewPalette(s.colored(s.facts.StderrTTY)) }

func (s *IO) colored(tty bool) bool {
	switch s.mode {
	case ColorAlways:
		return true
	case ColorNever:
		return false
	}
	return tty && !s.facts.NoColor && s.facts.Term != "dumb"
}

// Palette colors text by its meaning. The zero value leaves text plain. A Palette is
// safe for concurrent use.
type Palette struct{ on bool }

// NewPalette returns a palette that uses color if on is set.
func NewPalette(on bool) Palette { return Palette{on: on} }

// Enabled reports whether the palette uses color.
func (p Palette) Enabled() bool { return p.on }

// Good marks success.
func (p Palette) Good(text string) string { return p.paint(text, color.FgGreen) }

// Bad marks a failure.
func (p Palette) Bad(text string) string { return p.paint(text, color.FgRed, color.Bold) }

// Warn marks a warning.
func (p Palette) Warn(text string) string { return p.paint(text, color.FgYellow) }

// Dim marks secondary text.
func (p Palette) Dim(text string) string { return p.paint(text, color.Faint) }

// Accent marks names, addresses, and commands.
func (p Palette) Accent(text string) string { return p.paint(text, color.FgCyan) }

// Bold marks headings.
func (p Palette) Bold(text string) string { return p.paint(text, color.Bold) }

// serviceColors are distinguishable on dark and light backgrounds. Red is missing
// because it means failure.
func serviceColors() []color.Attribute {
	return []color.Attribute{
		color.FgCyan, color.FgMagenta, color.FgGreen, color.FgYellow, color.FgBlue,
		color.FgHiCyan, color.FgHiMagenta, color.FgHiGreen, color.FgHiYellow, color.FgHiBlue,
	}
}

// Service colors text that belongs to the n-th service of a workspace, from 0.
// Consecutive services have different colors.
func (p Palette) Service(number int, text string) string {
	colors := serviceColors()
	return p.paint(text, colors[((number%len(colors))+len(colors))%len(colors)])
}

// ServiceName colors the name of a service whose number is unknown. A name always has
// the same color.
func (p Palette) ServiceName(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return p.Service(int(h.Sum32()%1024), name)
}

// paint ignores the global switch of the color library, because each stream has its own
// setting.
func (p Palette) paint(text string, attributes ...color.Attribute) string {
	if !p.on || text == "" {
		return text
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(text)
}
