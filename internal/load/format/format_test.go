package format_test

import (
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load/format"
)

func TestFormat(t *testing.T) {
	durations := map[time.Duration]string{
		0: "0", 999: "999ns", 1500: "1.50µs", 82_345: "82.3µs", 999_499: "999µs", 999_600: "1.00ms", 12_345_678: "12.3ms",
		999_600_000: "1.00s", 59_900_000_000: "59.9s", 59_960_000_000: "1m0s", 125 * time.Second: "2m5s", -1500: "-1.50µs",
	}
	for d, want := range durations {
		if got := format.Duration(d); got != want {
			t.Errorf("Duration(%d) = %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := format.Count(n); got != want {
			t.Errorf("Count(%d) = %s, want %s", n, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0%", 1: "100%", 0.99999: "99.99%", 0.5: "50%", 0.1234: "12.34%", 0.00001: "<0.01%"} {
		if got := format.Percent(v); got != want {
			t.Errorf("Percent(%g) = %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{
		0: "0/s", 0.5: "0.5/s", 0.25: "0.25/s", 1: "1/s", 12.34: "12.3/s", 500: "500/s", 12345.6: "12,346/s",
		1.0 / 60: "1/m", 0.05: "3/m", 1.0 / 3600: "1/h", 2.5 / 3600: "2.5/h",
	} {
		if got := format.Rate(v); got != want {
			t.Errorf("Rate(%g) = %s, want %s", v, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.00 kB", 12_345: "12.3 kB", 999_600: "1.00 MB", 4_567_890_123: "4.57 GB"} {
		if got := format.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", n, got, want)
		}
	}
	at := time.Date(2026, 11, 23, 13, 30, 0, 0, time.FixedZone("CET", 3600))
	if got := format.Time(at); got != "2026-11-23 12:30 UTC" {
		t.Errorf("Time is %s", got)
	}
}
