// Package format formats the figures of load tests and lays out the reports made
// of them as plain text of 80 columns and as Markdown.
package format

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Duration formats a duration with three significant digits: 312µs, 1.96ms, 12.3s, 2m5s.
func Duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < 0:
		return "-" + Duration(-d)
	case d < time.Microsecond:
		return d.String()
	case d < time.Millisecond-500*time.Nanosecond:
		return digits(float64(d)/1e3) + "µs"
	case d < time.Second-500*time.Microsecond:
		return digits(float64(d)/1e6) + "ms"
	case d < time.Minute-50*time.Millisecond:
		return digits(float64(d)/1e9) + "s"
	}
	return d.Round(time.Second).String()
}

// digits formats v with three significant digits; the integer part is always
// complete.
func digits(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Count formats an integer with commas as thousands separators.
func Count(n int64) string {
	text := strconv.FormatInt(n, 10)
	head, sign := text, ""
	if n < 0 {
		head, sign = text[1:], "-"
	}
	var b strings.Builder
	for i, c := range head {
		if i > 0 && (len(head)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// Rate formats a rate per second: 12.5/s, 12,346/s.
func Rate(v float64) string {
	if v >= 1000 {
		return Count(int64(v+0.5)) + "/s"
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + "/s"
}

// Percent formats a share from 0 to 1: 0%, 99.98%, 100%. A share below 1 is
// never rounded up to 100%.
func Percent(v float64) string {
	text := strconv.FormatFloat(v*100, 'f', 2, 64)
	if text == "100.00" && v < 1 {
		text = "99.99"
	}
	return fmt.Sprintf("%s%%", strings.TrimSuffix(text, ".00"))
}

// Seconds formats a length of time in seconds, to a tenth: 1.2 s.
func Seconds(d time.Duration) string {
	return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
}

// WholePercent formats a share without decimals, except where rounding would
// hide a difference: less than everything is never 100%, and more than nothing
// is never 0%.
func WholePercent(v float64) string {
	switch {
	case v > 0 && v < 0.01:
		return "<1%"
	case v < 1 && v > 0.99:
		return Percent(v)
	}
	return strconv.FormatFloat(v*100, 'f', 0, 64) + "%"
}

// Counted formats a count with its unit, in the plural with an s unless n is 1.
func Counted[N int | int64](n N, one string) string { return CountedAs(n, one, one+"s") }

// CountedAs formats a count with its unit in the singular or the plural.
func CountedAs[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(int64(n)) + " " + many
}

// Sentence capitalizes text and ends it with a period. Empty text stays empty.
func Sentence(text string) string {
	if text == "" {
		return ""
	}
	return Capitalize(strings.TrimSuffix(text, ".")) + "."
}

// Capitalize returns text with its first letter in upper case.
func Capitalize(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + text[size:]
}
