package capacity

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SyntaxError reports what is wrong with a text, and where.
type SyntaxError struct {
	Text    string
	Offset  int // in bytes; len(Text) is the end
	Message string
}

// Error returns the text, the position, and the message.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("service time %q, byte %d: %s", e.Text, e.Offset, e.Message)
}

// Position returns Offset and Message.
func (e *SyntaxError) Position() (offset int, message string) { return e.Offset, e.Message }

// The limits of the parameters.
const (
	maxTime  = time.Hour
	maxSigma = 3
)

const distributionForms = "10ms, exponential:10ms, uniform:5ms-15ms, lognormal:10ms,0.5, or bimodal:5ms,95%,100ms"

// ParseDistribution parses a distribution:
//
//   - 10ms and constant:10ms are constant;
//   - exponential:10ms;
//   - uniform:5ms-15ms;
//   - lognormal:10ms,0.5 has a mean and a sigma;
//   - bimodal:5ms,95%,100ms is 5 ms for 95% of the jobs and 100 ms for the others.
//
// A name alone has the parameters shown here, for callers that set another mean. The
// error is a *[SyntaxError].
func ParseDistribution(text string) (Distribution, error) {
	name, rest, hasRest := strings.Cut(text, ":")
	for known, standard := range standards() {
		if name != known {
			continue
		}
		if !hasRest {
			return standard, nil
		}
		p := parser{text: text, at: len(name) + 1, rest: rest}
		return p.parameters(standard.shape)
	}
	p := parser{text: text, rest: text}
	if hasRest || text == "" || text[0] < '0' || text[0] > '9' {
		return Distribution{}, p.wrong(0, "a service time must be "+distributionForms)
	}
	return p.parameters(constant)
}

// standards returns the distributions with default parameters, by name.
func standards() map[string]Distribution {
	return map[string]Distribution{
		constant.String():    Constant(10 * time.Millisecond),
		exponential.String(): Exponential(10 * time.Millisecond),
		uniform.String():     Uniform(5*time.Millisecond, 15*time.Millisecond),
		lognormal.String():   LogNormal(10*time.Millisecond, 0.5),
		bimodal.String():     Bimodal(5*time.Millisecond, 95, 100*time.Millisecond),
	}
}

// parser parses the parameters of a distribution from left to right and keeps the
// first error.
type parser struct {
	text string
	at   int // of rest in text
	rest string
	err  error
}

func (p *parser) wrong(offset int, message string) error {
	return &SyntaxError{p.text, offset, message}
}

func (p *parser) parameters(s shape) (Distribution, error) {
	d := Distribution{shape: s}
	switch s {
	case uniform:
		d.a = p.duration("-")
		high := p.at
		d.b = p.duration("")
		if p.err == nil && d.b < d.a {
			p.err = p.wrong(high, "the maximum is less than the minimum")
		}
	case lognormal:
		d.a = p.duration(",")
		d.x = p.number("", maxSigma, "sigma must be between 0 and 3")
	case bimodal:
		d.a = p.duration(",")
		d.x = p.number("%,", 100, "a share must be between 0% and 100%")
		d.b = p.duration("")
	default:
		d.a = p.duration("")
	}
	if p.err != nil {
		return Distribution{}, p.err
	}
	return d, nil
}

// word consumes the text before end and end itself, or the rest if end is empty.
func (p *parser) word(end string) (word string, offset int) {
	word, rest, found := strings.Cut(p.rest, end)
	if end == "" {
		word, rest, found = p.rest, "", true
	}
	offset = p.at
	if !found {
		p.err = p.wrong(len(p.text), fmt.Sprintf("missing %q: a service time must be %s", end, distributionForms))
	}
	p.at += len(word) + len(end)
	p.rest = rest
	return word, offset
}

func (p *parser) duration(end string) time.Duration {
	if p.err != nil {
		return 0
	}
	word, offset := p.word(end)
	d, err := time.ParseDuration(word)
	switch {
	case p.err != nil:
	case err != nil:
		p.err = p.wrong(offset, strconv.Quote(word)+" is not a duration such as 10ms")
	case d < 0 || d > maxTime:
		p.err = p.wrong(offset, "a duration must be between 0 and 1h")
	}
	return d
}

func (p *parser) number(end string, limit float64, bounds string) float64 {
	if p.err != nil {
		return 0
	}
	word, offset := p.word(end)
	x, err := strconv.ParseFloat(word, 64)
	switch {
	case p.err != nil:
	case err != nil:
		p.err = p.wrong(offset, strconv.Quote(word)+" is not a number")
	case !(x >= 0 && x <= limit):
		p.err = p.wrong(offset, bounds)
	}
	return x
}
