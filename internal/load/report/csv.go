package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

// CSV writes a header and a line for each second of each run. Latencies are in
// milliseconds: those of the ok requests that ended in the second and, with the prefix
// all, those of all requests; they are empty if there are none. on_time counts the
// requests due in the second that were answered on time; it is empty if the run has no
// objective. Those with the prefix lag are the lateness of the requests sent in the second.
func (d *Document) CSV(to io.Writer) error {
	w := csv.NewWriter(to)
	_ = w.Write([]string{ // w.Error returns the error below
		"run", "second", "offered", "attempts", "ok", "error", "timeout", "lost", "shed", "late", "in_flight",
		"p50_ms", "p90_ms", "p99_ms", "max_ms", "all_p50_ms", "all_p90_ms", "all_p99_ms", "all_max_ms", "on_time",
		"lag_p50_ms", "lag_p99_ms", "lag_max_ms", "cpu", "gc_max_ms", "starved", "clock_jump_ms", "doubtful",
	})
	for i := range d.Runs {
		r := &d.Runs[i]
		name := r.Name
		if name == "" {
			name = strconv.Itoa(i + 1)
		}
		for j := range r.Seconds {
			_ = w.Write(r.record(&r.Seconds[j], name))
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write the CSV file: %w", err)
	}
	return nil
}

// record returns a second as a line of the CSV file.
func (r *Run) record(s *Second, run string) []string {
	fields := []string{run, strconv.FormatFloat(s.At.Seconds(), 'f', -1, 64)}
	for _, n := range []int64{s.Offered, s.Attempts, s.OK, s.Error, s.Timeout, s.Lost, s.Shed, s.Late, s.InFlight} {
		fields = append(fields, strconv.FormatInt(n, 10))
	}
	for _, q := range []Quantiles{s.OKLatency, s.AllLatency} {
		for _, l := range []time.Duration{q.P50, q.P90, q.P99, q.Max} {
			if q.Max == 0 {
				fields = append(fields, "")
				continue
			}
			fields = append(fields, milliseconds(l))
		}
	}
	return append(fields, r.onTimeText(s.At), milliseconds(s.LagP50), milliseconds(s.LagP99), milliseconds(s.Lag), strconv.FormatFloat(s.CPU, 'f', 3, 64), milliseconds(s.GC),
		strconv.FormatInt(s.Starved, 10), milliseconds(s.Jump), strconv.FormatBool(s.Doubtful))
}

// onTimeText returns how many of the requests that were due in a second were answered on
// time; "" if the run has no objective.
func (r *Run) onTimeText(at time.Duration) string {
	if _, ok := r.OnTimeShare(); !ok || r.CohortStep <= 0 {
		return ""
	}
	var n int64
	for i := at / r.CohortStep; i < (at+time.Second)/r.CohortStep && int(i) < len(r.Cohorts); i++ {
		n += r.Cohorts[i][2]
	}
	return strconv.FormatInt(n, 10)
}

// milliseconds formats a duration in milliseconds, rounded to a microsecond.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Round(time.Microsecond))/1e6, 'f', -1, 64)
}
