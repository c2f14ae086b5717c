package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

// CSV writes a line for each second of each run, with a head line. Latencies are
// milliseconds; they are empty where no request ended in the second.
func (d *Document) CSV(to io.Writer) error {
	w := csv.NewWriter(to)
	_ = w.Write([]string{ // Error below has what went wrong
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

// record is a second as a line of the CSV file.
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

// milliseconds writes a duration as a number, to a microsecond.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Round(time.Microsecond))/1e6, 'f', -1, 64)
}
