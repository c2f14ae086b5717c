package fault

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/nearest"
)

// SyntaxError reports what is wrong with the text of a fault, and where.
type SyntaxError struct {
	// Offset is the position in bytes; the length of the text is the end.
	Offset int
	// Message describes the problem and how to correct it.
	Message string
}

// Error returns the position and the message.
func (e *SyntaxError) Error() string { return fmt.Sprintf("offset %d: %s", e.Offset, e.Message) }

// Position returns Offset and Message.
func (e *SyntaxError) Position() (offset int, message string) { return e.Offset, e.Message }

// Parse parses a fault:
//
//	KIND[=VALUE][@START[+LENGTH]] [share=20%] [status=429] [message="too busy"] [first=3] [pattern=PATTERN]
//
// VALUE is the share of the messages (error=20%), the delay of Latency (200ms,
// 200ms±50ms, or 200ms+-50ms), or the rate of Bandwidth (64KB/s). PATTERN must be
// last, because it may contain spaces: a JSON object, cmd=createItem for short, or
// a plain word. The result has explicit defaults: a fault without a share has 1.
// Errors are *SyntaxError.
func Parse(text string) (Fault, error) {
	if !utf8.ValidString(text) {
		return Fault{}, &SyntaxError{0, "a fault must be valid UTF-8"}
	}
	p := parser{text: text}
	if err := p.fault(); err != nil {
		return Fault{}, err
	}
	return p.f.normal(), nil
}

type parser struct {
	text string
	at   int
	f    Fault
	seen map[string]bool // the options so far
}

func wrong(offset int, format string, args ...any) *SyntaxError {
	return &SyntaxError{offset, fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

// until returns the text before the next of the stop characters.
func (p *parser) until(stops string) string {
	rest := p.text[p.at:]
	if end := strings.IndexAny(rest, stops); end >= 0 {
		rest = rest[:end]
	}
	p.at += len(rest)
	return rest
}

// next skips c and reports true if it is the next character.
func (p *parser) next(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) fault() error {
	if err := p.kind(); err != nil {
		return err
	}
	if err := p.value(); err != nil {
		return err
	}
	if err := p.window(); err != nil {
		return err
	}
	p.seen = map[string]bool{}
	for p.space(); p.at < len(p.text); p.space() {
		if err := p.option(); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) kind() error {
	p.space()
	start := p.at
	name := p.until("=@ \t")
	p.f.Kind = Kind(name)
	if _, ok := p.f.Kind.traits(); ok {
		return nil
	}
	switch near := nearest.Word(name, Kinds()); {
	case name == "":
		return wrong(start, "a fault must start with its kind: %s", listKinds())
	case near != "":
		return wrong(start, "unknown fault %q: did you mean %s?", name, near)
	default:
		return wrong(start, "unknown fault %q: use one of %s", name, listKinds())
	}
}

// value parses the value after the kind.
func (p *parser) value() error {
	kind, given := p.f.Kind, p.next('=')
	start := p.at
	switch {
	case kind.has(takesDelay):
		if !given {
			return wrong(start, "%s requires a delay: %s=200ms or %s=200ms±50ms", kind, kind, kind)
		}
		return p.delay()
	case kind.has(takesRate):
		if !given {
			return wrong(start, "%s requires a rate: %s=64KB/s", kind, kind)
		}
		rate, err := parseRate(p.until("@ \t"), start)
		p.f.BytesPerSecond = rate
		return err
	case !given:
		return nil
	case kind.has(takesShare):
		share, err := parseShare(p.until("@ \t"), start)
		p.f.Share = share
		return err
	}
	return wrong(start-1, "%s takes no value, only a time: %s@10s+4s", kind, kind)
}

func (p *parser) delay() error {
	start := p.at
	text := p.until("@ \t")
	middle, spread, hasSpread := strings.Cut(text, "±")
	width := len("±")
	if !hasSpread {
		middle, spread, hasSpread = strings.Cut(text, "+-")
		width = len("+-")
	}
	var err error
	if p.f.Delay, err = parseDuration(middle, start, "the delay"); err != nil {
		return err
	}
	if !hasSpread {
		return nil
	}
	start += len(middle) + width
	if p.f.Spread, err = parseDuration(spread, start, "the spread of a delay"); err != nil {
		return err
	}
	if p.f.Spread > p.f.Delay {
		return wrong(start, "the spread must not exceed the delay: use at most %s", durationText(p.f.Delay))
	}
	return nil
}

// window parses @START+LENGTH.
func (p *parser) window() error {
	if p.next('@') {
		start := p.at
		text, length, hasLength := strings.Cut(p.until(" \t"), "+")
		var err error
		if p.f.Start, err = parseTime(text, start, "the start of a fault"); err != nil {
			return err
		}
		if hasLength {
			if p.f.Length, err = parseDuration(length, start+len(text)+1, "the length of a fault"); err != nil {
				return err
			}
		}
	}
	if p.f.Kind.has(needsLength) && p.f.Length == 0 {
		return wrong(p.at, "%s requires a length: %s@10s+4s starts after 10s and lasts 4s", p.f.Kind, p.f.Kind)
	}
	return nil
}

// parseTime is parseDuration, but allows 0.
func parseTime(text string, offset int, what string) (time.Duration, error) {
	if text == "0" || text == "0s" {
		return 0, nil
	}
	return parseDuration(text, offset, what)
}

// maxDuration keeps sums of durations from overflowing.
const maxDuration = 10_000 * time.Hour

func parseDuration(text string, offset int, what string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil || text[0] == '+' || text[0] == '-':
		return 0, wrong(offset, "%s must be a duration such as 200ms or 10s, not %q", what, text)
	case d <= 0:
		return 0, wrong(offset, "%s must be greater than 0", what)
	case d > maxDuration:
		return 0, wrong(offset, "%s must be at most %s", what, durationText(maxDuration))
	}
	return d, nil
}

func parseShare(text string, offset int) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	if !percent || !isDecimal(number) {
		return 0, wrong(offset, "a share must be a percentage such as 20%% or 0.5%%, not %q", text)
	}
	share, err := strconv.ParseFloat(number+"e-2", 64)
	if err != nil || share <= 0 || share > 1 {
		return 0, wrong(offset, "a share must be greater than 0%% and at most 100%%, not %s", text)
	}
	return share, nil
}

// isDecimal reports whether text consists of digits and at most one decimal point
// between them.
func isDecimal(text string) bool {
	whole, fraction, point := strings.Cut(text, ".")
	return whole != "" && (!point || fraction != "") && strings.Trim(whole+fraction, "0123456789") == ""
}

// units are the units of a rate, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}}

func parseRate(text string, offset int) (int64, error) {
	problem := wrong(offset, "a bandwidth must be in bytes per second, such as 64KB/s or 1.5MB/s, not %q", text)
	amount, ok := strings.CutSuffix(text, "/s")
	if !ok {
		return 0, problem
	}
	for _, unit := range units {
		number, ok := strings.CutSuffix(amount, unit.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(number, 64)
		if v *= float64(unit.bytes); !isDecimal(number) || err != nil {
			return 0, problem
		}
		if v = math.Round(v); v < 1 || v > 1e12 {
			return 0, wrong(offset, "a bandwidth must be between 1B/s and 1000GB/s")
		}
		return int64(v), nil
	}
	return 0, problem
}
