package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration writes a duration with three digits: 312µs, 1.96ms, 12.3s, 2m5s.
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

// digits writes v with three significant digits, and all of those before the
// point.
func digits(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Count writes a number with commas between thousands.
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

// Rate writes a number of things a second.
func Rate(v float64) string {
	if v >= 1000 {
		return Count(int64(v+0.5)) + "/s"
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + "/s"
}

// Percent writes a share: 0 %, 99.98 %, 100 %. What is not all is never 100 %.
func Percent(v float64) string {
	text := strconv.FormatFloat(v*100, 'f', 2, 64)
	if text == "100.00" && v < 1 {
		text = "99.99"
	}
	return fmt.Sprintf("%s%%", strings.TrimSuffix(text, ".00"))
}

// seconds writes a length of a run as people say it: 1.2 s.
func seconds(d time.Duration) string {
	return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
}

// whole writes a share without decimals; what is not all is never 100 %, what is
// more than nothing never 0 %.
func whole(v float64) string {
	switch {
	case v > 0 && v < 0.01:
		return "<1%"
	case v < 1 && v > 0.99:
		return Percent(v)
	}
	return strconv.FormatFloat(v*100, 'f', 0, 64) + "%"
}
