package load

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// SyntaxError describes what is wrong with the text of a rate, and where.
type SyntaxError struct {
	Offset  int // in bytes; the length of the text is the position after its end
	Message string
}

// Error returns the message without the position.
func (e *SyntaxError) Error() string { return e.Message }

// Position returns Offset and Message.
func (e *SyntaxError) Position() (offset int, message string) { return e.Offset, e.Message }

// ParseRate parses a rate greater than 0: 500/s, 500 (per second), 30000/m, 1.5/s,
// or 5/100ms. The error is a *SyntaxError.
func ParseRate(text string) (vegeta.ConstantPacer, error) { return part{text: text}.rate() }

// ParseRamp parses the ends of a ramp, FROM..TO, and returns both rates per second.
// Either may be 0, but not both. The error is a *SyntaxError.
func ParseRamp(text string) (from, to float64, err error) {
	low, high, ok := part{text: text}.cut("..")
	if !ok {
		return 0, 0, low.wrong(len(text), "a ramp is FROM..TO, such as 100/s..2000/s")
	}
	if from, err = low.rateOrZero(); err != nil {
		return 0, 0, err
	}
	if to, err = high.rateOrZero(); err != nil {
		return 0, 0, err
	}
	if from == 0 && to == 0 {
		return 0, 0, low.wrong(0, "at least one end of a ramp must be greater than 0")
	}
	return from, to, nil
}

// ParseSine parses MEAN±SWING:PERIOD; +- may replace ±. The error is a *SyntaxError.
func ParseSine(text string) (vegeta.SinePacer, error) {
	var none vegeta.SinePacer
	rates, period, ok := part{text: text}.cut(":")
	if !ok {
		return none, rates.wrong(len(text), "missing period: use MEAN±SWING:PERIOD, such as 500/s±200/s:30s")
	}
	mean, swing, ok := rates.cut("±")
	if !ok {
		if mean, swing, ok = rates.cut("+-"); !ok {
			return none, rates.wrong(len(rates.text), "missing swing: use MEAN±SWING:PERIOD, such as 500/s±200/s:30s (+- also works)")
		}
	}
	m, err := mean.rate()
	if err != nil {
		return none, err
	}
	a, err := swing.rate()
	if err != nil {
		return none, err
	}
	if a.Rate(0) >= m.Rate(0) {
		return none, swing.wrong(0, "the swing must be less than the mean")
	}
	p, err := period.duration(false)
	return vegeta.SinePacer{Period: p, Mean: m, Amp: a}, err
}

// The limits of the text of Stages.
const (
	maxStages       = 1000
	maxStagesLength = 1000 * time.Hour
)

// ParseStages parses RATE:LENGTH,RATE:LENGTH,… and so on. The rate starts at 0 and
// changes linearly to each RATE within LENGTH; a LENGTH of 0s is a step. The error
// is a *SyntaxError.
func ParseStages(text string) (Stages, error) {
	var stages Stages
	var highest float64
	parts := part{text: text}.split(",")
	if len(parts) > maxStages {
		return nil, parts[maxStages].wrong(0, "too many stages: at most %d are allowed", maxStages)
	}
	for _, p := range parts {
		to, length, ok := p.cut(":")
		if !ok {
			return nil, length.wrong(0, "a stage is RATE:LENGTH, such as 500/s:30s")
		}
		rate, err := to.rateOrZero()
		if err != nil {
			return nil, err
		}
		d, err := length.duration(true)
		if err != nil {
			return nil, err
		}
		if d > maxStagesLength-stages.Length() {
			return nil, length.wrong(0, "all stages together must last at most %s", maxStagesLength)
		}
		highest = max(highest, rate)
		stages = append(stages, Stage{Rate: rate, Length: d})
	}
	switch {
	case highest == 0:
		return nil, parts[0].wrong(0, "at least one stage must have a rate greater than 0")
	case stages.Length() == 0:
		return nil, parts[0].wrong(0, "at least one stage must have a length greater than 0")
	}
	return stages, nil
}

// parseRateUnit parses the unit that follows the slash of a rate: s, m, h, or a
// duration from 1µs to 24h such as 100ms. For an empty unit, it returns a second
// and an error.
func parseRateUnit(unit string) (time.Duration, error) {
	if unit == "" {
		return time.Second, strconv.ErrSyntax
	}
	if unicode.IsLetter(rune(unit[0])) {
		unit = "1" + unit
	}
	d, err := time.ParseDuration(unit)
	if err == nil && (d < time.Microsecond || d > 24*time.Hour) {
		err = strconv.ErrRange
	}
	return d, err
}

// part is a piece of a text and its position in it.
type part struct {
	text   string
	offset int
}

// wrong returns an error that points at a position in the part.
func (p part) wrong(offset int, format string, args ...any) error {
	return &SyntaxError{p.offset + offset, fmt.Sprintf(format, args...)}
}

// cut splits the part around the first separator. Without one, found is false, and
// after is the empty part at the end.
func (p part) cut(separator string) (before, after part, found bool) {
	i := strings.Index(p.text, separator)
	if i < 0 {
		return p, part{"", p.offset + len(p.text)}, false
	}
	end := i + len(separator)
	return part{p.text[:i], p.offset}, part{p.text[end:], p.offset + end}, true
}

// split splits the part at every separator.
func (p part) split(separator string) (parts []part) {
	for rest, more := p, true; more; {
		var one part
		one, rest, more = rest.cut(separator)
		parts = append(parts, one)
	}
	return parts
}

// duration parses a duration greater than 0, or of at least 0 if zero is allowed.
func (p part) duration(zero bool) (time.Duration, error) {
	d, err := time.ParseDuration(p.text)
	switch {
	case err != nil:
		return 0, p.wrong(0, "invalid duration %q: use a value such as 10s", p.text)
	case d < 0 || d == 0 && !zero:
		return 0, p.wrong(0, "the duration must be greater than 0")
	}
	return d, nil
}

// maxRate is the highest rate that can be parsed, per second. A higher one is
// assumed to be a typing error.
const maxRate = 10_000_000

// rate parses a rate greater than 0.
func (p part) rate() (vegeta.ConstantPacer, error) {
	var none vegeta.ConstantPacer
	number, unit, hasUnit := strings.Cut(p.text, "/")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return none, p.wrong(0, "a rate must be a number greater than 0 and a unit, such as 500/s")
	}
	per, err := parseRateUnit(unit)
	if hasUnit && err != nil {
		return none, p.wrong(len(number)+1, "the unit must be s, m, h, or a duration such as 100ms")
	}
	if v/per.Seconds() > maxRate {
		return none, p.wrong(0, "the rate must be at most 10 million per second")
	}
	if v != math.Trunc(v) { // the pacer's frequency is an integer
		v, per = math.Round(v*1000), per*1000
	}
	if v < 1 {
		return none, p.wrong(0, "the rate is too low: use a longer unit, such as 1/h")
	}
	return vegeta.ConstantPacer{Freq: int(v), Per: per}, nil
}

// rateOrZero parses a rate that may be 0, and returns it per second.
func (p part) rateOrZero() (float64, error) {
	if number, _, _ := strings.Cut(p.text, "/"); number == "0" {
		return 0, nil
	}
	c, err := p.rate()
	return c.Rate(0), err
}
