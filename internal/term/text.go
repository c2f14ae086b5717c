package term

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration formats a duration with at most three significant digits: 312µs, 1.96ms,
// 41ms, 12.3s, 2m5s.
func Duration(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'g', 3, 64) + "s"
	case d >= time.Millisecond:
		return strconv.FormatFloat(float64(d)/1e6, 'g', 3, 64) + "ms"
	}
	return strconv.FormatInt(d.Microseconds(), 10) + "µs"
}

// List joins words with commas. Words beyond the limit are only counted.
func List(words []string, limit int) string {
	if len(words) <= limit {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s, and %d more", strings.Join(words[:limit], ", "), len(words)-limit)
}

// Count returns a number with a noun, whose plural ends in s: "1 worker", "4 workers".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
