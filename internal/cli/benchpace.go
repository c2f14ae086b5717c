package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
)

// part is a piece of what was typed for a flag, and where it stands in it.
type part struct {
	flag, whole string
	offset      int
	text        string
}

// wrong is the usage error that points at a place in the part.
func (p part) wrong(offset int, format string, args ...any) error {
	return exit.PointAt(p.flag, p.whole, p.offset+offset, fmt.Sprintf(format, args...))
}

// cut splits the part at a separator; found is false where there is none.
func (p part) cut(separator string) (before, after part, found bool) {
	i := strings.Index(p.text, separator)
	if i < 0 {
		return p, part{p.flag, p.whole, p.offset + len(p.text), ""}, false
	}
	before, after = p, p
	before.text = p.text[:i]
	after.text = p.text[i+len(separator):]
	after.offset += i + len(separator)
	return before, after, true
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

// duration reads a duration of more than 0, or at least 0 when zero is allowed.
func (p part) duration(zero bool) (time.Duration, error) {
	d, err := time.ParseDuration(p.text)
	switch {
	case err != nil:
		return 0, p.wrong(0, "%q is not a duration such as 10s", p.text)
	case d < 0 || d == 0 && !zero:
		return 0, p.wrong(0, "the duration must be longer than 0")
	}
	return d, nil
}

// mostRate is the highest rate that is taken for meant, a second.
const mostRate = 10_000_000

// parseRate reads --rate: 500/s, 500 (a second), 30000/m, 1.5/s, 5/100ms.
func parseRate(text string) (vegeta.ConstantPacer, error) {
	return part{"--rate", text, 0, text}.rate()
}

// rate reads a rate of more than 0.
func (p part) rate() (vegeta.ConstantPacer, error) {
	var none vegeta.ConstantPacer
	number, unit, hasUnit := strings.Cut(p.text, "/")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return none, p.wrong(0, "a rate begins with a number of more than 0: 500/s")
	}
	per, err := rateUnit(unit)
	if hasUnit && err != nil {
		return none, p.wrong(len(number)+1, "the unit must be s, m, h, or a duration such as 100ms")
	}
	if v/per.Seconds() > mostRate {
		return none, p.wrong(0, "more than 10 million a second is not meant")
	}
	if v != math.Trunc(v) {
		v, per = math.Round(v*1000), per*1000
	}
	if v < 1 {
		return none, p.wrong(0, "this is too slow: use a longer unit, such as 1/h")
	}
	return vegeta.ConstantPacer{Freq: int(v), Per: per}, nil
}

// rateOrNone reads a rate that may be 0.
func (p part) rateOrNone() (float64, error) {
	if number, _, _ := strings.Cut(p.text, "/"); number == "0" {
		return 0, nil
	}
	c, err := p.rate()
	return c.Rate(0), err
}

func rateUnit(unit string) (time.Duration, error) {
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

// parseRamp reads --ramp: FROM..TO, reached at the end of duration.
func parseRamp(text string, duration time.Duration) (vegeta.Pacer, error) {
	from, to, ok := part{"--ramp", text, 0, text}.cut("..")
	if !ok {
		return nil, from.wrong(len(text), "a ramp has two ends: 100/s..2000/s")
	}
	low, err := from.rateOrNone()
	if err != nil {
		return nil, err
	}
	high, err := to.rateOrNone()
	switch {
	case err != nil:
		return nil, err
	case duration <= 0:
		return nil, exit.Usagef("--ramp takes its time from --duration, which --requests alone does not give")
	case low == 0 && high == 0:
		return nil, from.wrong(0, "the ramp must leave 0")
	}
	return load.Stages{{Rate: low}, {Rate: high, Length: duration}}, nil
}

// parseSine reads --sine: MEAN±SWING:PERIOD, with +- for ±.
func parseSine(text string) (vegeta.Pacer, error) {
	rates, period, ok := part{"--sine", text, 0, text}.cut(":")
	if !ok {
		return nil, rates.wrong(len(text), "the period is missing: 500/s±200/s:30s")
	}
	mean, swing, ok := rates.cut("±")
	if !ok {
		if mean, swing, ok = rates.cut("+-"); !ok {
			return nil, rates.wrong(len(rates.text), "the swing is missing: 500/s±200/s:30s (or +- for ±)")
		}
	}
	m, err := mean.rate()
	if err != nil {
		return nil, err
	}
	a, err := swing.rate()
	if err != nil {
		return nil, err
	}
	if a.Rate(0) >= m.Rate(0) {
		return nil, swing.wrong(0, "the swing must be less than the mean")
	}
	p, err := period.duration(false)
	return vegeta.SinePacer{Period: p, Mean: m, Amp: a}, err
}

// What bounds --stages.
const (
	mostStages    = 1000
	longestStages = 1000 * time.Hour
)

// parseStages reads --stages: RATE:LENGTH, …: the rate changes evenly to RATE
// within LENGTH, from 0 at the beginning; a stage of 0s is a step.
func parseStages(text string) (load.Stages, error) {
	var stages load.Stages
	var most float64
	parts := part{"--stages", text, 0, text}.split(",")
	if len(parts) > mostStages {
		return nil, parts[mostStages].wrong(0, "there are at most %d stages", mostStages)
	}
	for _, p := range parts {
		to, length, ok := p.cut(":")
		if !ok {
			return nil, length.wrong(0, "a stage is a rate and how long it takes to get there: 500/s:30s")
		}
		rate, err := to.rateOrNone()
		if err != nil {
			return nil, err
		}
		d, err := length.duration(true)
		if err != nil {
			return nil, err
		}
		if d > longestStages-stages.Length() {
			return nil, length.wrong(0, "all stages together last at most %s", longestStages)
		}
		most = max(most, rate)
		stages = append(stages, load.Stage{Rate: rate, Length: d})
	}
	switch {
	case most == 0:
		return nil, parts[0].wrong(0, "some stage must have a rate of more than 0")
	case stages.Length() == 0:
		return nil, parts[0].wrong(0, "some stage must last")
	}
	return stages, nil
}
