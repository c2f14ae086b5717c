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

// Rate formats a rate per second: 12,346/s, 12.5/s, 0.25/s. A rate below 0.1/s is
// formatted per minute or per hour: 1/m, 2.5/h.
func Rate(v float64) string {
	switch {
	case v >= 1000:
		return Count(int64(v+0.5)) + "/s"
	case v >= 1 || v <= 0:
		return decimals(v, 1) + "/s"
	case v >= 0.0999:
		return decimals(v, 2) + "/s"
	case v*60 >= 0.0999:
		return decimals(v*60, 2) + "/m"
	}
	return strconv.FormatFloat(v*3600, 'g', 2, 64) + "/h"
}

// decimals formats v with at most n decimals.
func decimals(v float64, n int) string {
	text := strconv.FormatFloat(v, 'f', n, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// Bytes formats a number of bytes in decimal units: 999 B, 12.3 kB, 4.50 MB.
func Bytes(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, unit := float64(n), 0
	for v >= 999.5 && unit < len(units)-1 {
		v, unit = v/1000, unit+1
	}
	if unit == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return digits(v) + " " + units[unit]
}

// Time formats a point in time in UTC, to the minute: 2026-11-23 12:00 UTC.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Percent formats a share from 0 to 1: 0%, 99.98%, 100%. Rounding never turns a share
// into all or nothing.
func Percent(v float64) string {
	text := strconv.FormatFloat(v*100, 'f', 2, 64)
	switch {
	case text == "100.00" && v < 1:
		text = "99.99"
	case text == "0.00" && v > 0:
		return "<0.01%"
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
