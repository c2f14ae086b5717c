package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// SyntaxError is what the parsers of this package return: where a text is wrong
// and how it would be right.
type SyntaxError struct {
	// What is parsed: "breaker", "hedge" or "retry-on", like msctl's flags.
	What string
	// Text is all of what was parsed.
	Text string
	// Offset is the place in Text, in bytes; len(Text) is behind its end.
	Offset int
	// Message says what is wrong there and what would be right.
	Message string
}

// Error names the column, counted from 1, the text and the way out.
func (e *SyntaxError) Error() string {
	column := len([]rune(e.Text[:e.Offset])) + 1
	return fmt.Sprintf("%s %q, column %d: %s", e.What, e.Text, column, e.Message)
}

// source is a text on its way through a parser.
type source struct{ what, text string }

func (s source) wrong(offset int, format string, args ...any) *SyntaxError {
	return &SyntaxError{s.what, s.text, offset, fmt.Sprintf(format, args...)}
}

// duration reads the duration that part, at offset, is.
func (s source) duration(part string, offset int) (time.Duration, error) {
	d, err := time.ParseDuration(part)
	if err != nil || part[0] == '+' || part[0] == '-' || d <= 0 {
		return 0, s.wrong(offset, "%q is not a duration of more than 0, such as 5s", part)
	}
	return d, nil
}

// count reads part, at offset, as a whole number of 1 or more.
func (s source) count(part string, offset int) (int, error) {
	n, err := strconv.ParseUint(part, 10, 31)
	if err != nil || n == 0 {
		return 0, s.wrong(offset, "%q is not a whole number of 1 or more", part)
	}
	return int(n), nil
}

// settings reads what follows a comma, at offset: name=number, more of them
// after further commas, each name once and among into's.
func (s source) settings(part string, offset int, into map[string]*int, usage string) error {
	seen := map[string]bool{}
	for one := range strings.SplitSeq(part, ",") {
		name, value, ok := strings.Cut(one, "=")
		target := into[name]
		switch {
		case !ok || target == nil:
			return s.wrong(offset, "%s", usage)
		case seen[name]:
			return s.wrong(offset, "%s is there twice", name)
		}
		seen[name] = true
		n, err := s.count(value, offset+len(name)+1)
		if err != nil {
			return err
		}
		*target = n
		offset += len(one) + 1
	}
	return nil
}

// shares are kept to a millionth, so that what is printed is what was read.
const shareParts = 1e6

// parsePercent reads the number before a % as a share.
func parsePercent(number string) (share float64, ok bool) {
	if strings.Trim(number, "0123456789.") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(number, 64)
	return math.Round(v*shareParts/100) / shareParts, err == nil
}

// formatPercent is a share as the number before a %.
func formatPercent(share float64) string {
	return strconv.FormatFloat(math.Round(share*shareParts)*100/shareParts, 'f', -1, 64)
}
