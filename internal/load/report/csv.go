package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

// CSV writes a header and a line for each second of each run. Latencies are in
// milliseconds; they are empty if no request ended in the second.
func (d *Document) CSV(to io.Writer) error {
	w := csv.NewWriter(to)
	_ = w.Write([]string{ // w.Error returns the error below
		"run", "second", "offered", "attempts", "ok", "error", "timeout", "lost", "shed", "late", "in_flight",
		"p50_ms", "p90_ms", "p99_ms", "max_ms", "lag_max_ms", "cpu", "gc_max_ms", "doubtful",
	})
	for i := range d.Runs {
		r := &d.Runs[i]
		name := r.Name
		if name == "" {
			name = strconv.Itoa(i + 1)
		}
		for j := range r.Seconds {
			_ = w.Write(r.Seconds[j].record(name))
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write the CSV file: %w", err)
	}
	return nil
}

// record returns a second as a line of the CSV file.
func (s *Second) record(run string) []string {
	fields := []string{run, strconv.FormatFloat(s.At.Seconds(), 'f', -1, 64)}
	for _, n := range []int64{s.Offered, s.Attempts, s.OK, s.Error, s.Timeout, s.Lost, s.Shed, s.Late, s.InFlight} {
		fields = append(fields, strconv.FormatInt(n, 10))
	}
	for _, l := range []time.Duration{s.P50, s.P90, s.P99, s.Max} {
		if s.Max == 0 {
			fields = append(fields, "")
			continue
		}
		fields = append(fields, milliseconds(l))
	}
	return append(fields, milliseconds(s.Lag), strconv.FormatFloat(s.CPU, 'f', 3, 64), milliseconds(s.GC), strconv.FormatBool(s.Doubtful))
}

// milliseconds formats a duration in milliseconds, rounded to a microsecond.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Round(time.Microsecond))/1e6, 'f', -1, 64)
}
