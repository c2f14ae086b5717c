package term

import (
	"fmt"
	"hash/fnv"

	"github.com/fatih/color"
)

// ColorMode is the value of --color. Its zero value is [ColorAuto].
type ColorMode int

const (
	// ColorAuto colours a stream that is a terminal, unless NO_COLOR is set
	// or the terminal is dumb.
	ColorAuto ColorMode = iota
	// ColorAlways colours always, also into a pipe.
	ColorAlways
	// ColorNever does not colour.
	ColorNever
)

// ParseColorMode reads "auto", "always" or "never".
func ParseColorMode(text string) (ColorMode, error) {
	switch text {
	case "auto":
		return ColorAuto, nil
	case "always":
		return ColorAlways, nil
	case "never":
		return ColorNever, nil
	}
	return ColorAuto, fmt.Errorf("unknown colour mode %q: use auto, always or never", text)
}

// SetColor sets the mode for both streams. Call it before the IO is shared.
func (s *IO) SetColor(mode ColorMode) { s.mode = mode }

// ColorMode returns the mode set last.
func (s *IO) ColorMode() ColorMode { return s.mode }

// OutPalette colours text for Out, or leaves it plain where Out is not coloured.
func (s *IO) OutPalette() Palette { return NewPalette(s.colored(s.facts.StdoutTTY)) }

// ErrPalette colours text for Err, or leaves it plain where Err is not coloured.
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

// Palette is the few colours of msctl, named by what they mean. The zero value
// colours nothing. A Palette is a value and safe for concurrent use.
type Palette struct{ on bool }

// NewPalette gives a palette that colours, or one that does not.
func NewPalette(on bool) Palette { return Palette{on: on} }

// Enabled reports whether the palette colours.
func (p Palette) Enabled() bool { return p.on }

// Good marks success.
func (p Palette) Good(text string) string { return p.paint(text, color.FgGreen) }

// Bad marks a failure.
func (p Palette) Bad(text string) string { return p.paint(text, color.FgRed, color.Bold) }

// Warn marks what deserves a look.
func (p Palette) Warn(text string) string { return p.paint(text, color.FgYellow) }

// Dim is for what may be skipped.
func (p Palette) Dim(text string) string { return p.paint(text, color.Faint) }

// Accent is for what is to be read or typed: names, addresses, commands.
func (p Palette) Accent(text string) string { return p.paint(text, color.FgCyan) }

// Bold is for headings.
func (p Palette) Bold(text string) string { return p.paint(text, color.Bold) }

// serviceColors are told apart on dark and light backgrounds; red is left out
// because it means failure.
func serviceColors() []color.Attribute {
	return []color.Attribute{
		color.FgCyan, color.FgMagenta, color.FgGreen, color.FgYellow, color.FgBlue,
		color.FgHiCyan, color.FgHiMagenta, color.FgHiGreen, color.FgHiYellow, color.FgHiBlue,
	}
}

// Service colours text as belonging to the service with that number in its
// workspace (0 is the first), so that neighbours differ.
func (p Palette) Service(number int, text string) string {
	colors := serviceColors()
	return p.paint(text, colors[((number%len(colors))+len(colors))%len(colors)])
}

// ServiceName colours a service's name where its number is not known: the same
// name always gets the same colour.
func (p Palette) ServiceName(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return p.Service(int(h.Sum32()%1024), name)
}

// paint does not look at the colour library's global switch: whether to colour
// is decided per stream.
func (p Palette) paint(text string, attributes ...color.Attribute) string {
	if !p.on || text == "" {
		return text
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(text)
}
