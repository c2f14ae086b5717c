package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// The conditions under which a rate counts as sustained, and the number of tries.
const (
	heldShare = 0.99
	heldP99   = 20 * time.Millisecond
	tries     = 2
)

// rates are the steps, in requests per second.
func rates() []int {
	return []int{1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 40_000, 50_000, 60_000, 80_000, 100_000, 125_000, 150_000, 200_000}
}

// compare raises the rate until no generator sustains it, and prints the highest rate of each.
func compare(ctx context.Context, o options) error {
	stop, err := o.startServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	list := generators(o)
	best := make([]measured, len(list))
	held := make([]int, len(list))
	out := make([]bool, len(list))
	same := map[int][]measured{} // at rates that every open model has sustained
	for _, rate := range rates() {
		row := make([]measured, len(list))
		for i, g := range list {
			if out[i] {
				continue
			}
			m, ok, err := try(ctx, g, rate, o.length)
			if err != nil {
				return fmt.Errorf("%s: %w", g.name, err)
			}
			row[i] = m
			if out[i] = !ok || g.closed; ok {
				best[i], held[i] = m, rate
			}
			fmt.Fprintf(os.Stderr, "%-24s %7d/s  goodput %7.0f/s  p99 %-8s CPU %.1f µs per request  sustained: %t\n",
				g.name, rate, m.Goodput, m.P99.Round(10*time.Microsecond), perRequest(m), ok)
		}
		same[rate] = row
	}
	return table(list, held, best, same)
}

// try measures a generator at a rate, and again if it did not sustain it.
func try(ctx context.Context, g generator, rate int, length time.Duration) (m measured, held bool, err error) {
	for range tries {
		if m, err = g.run(ctx, rate, length); err != nil || g.closed {
			return m, true, err
		}
		if m.Goodput >= heldShare*float64(rate) && m.P99 <= heldP99 {
			return m, true, nil
		}
	}
	return m, false, nil
}

// perRequest returns the generator's CPU time per request, in µs.
func perRequest(m measured) float64 {
	return float64(m.CPU.Microseconds()) / float64(max(m.Requests, 1))
}

func table(list []generator, held []int, best []measured, same map[int][]measured) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\thighest sustained rate\tp99\tsending delay, p99\tCPU per request\tat 10,000/s\t")
	for i, g := range list {
		rate, late := fmt.Sprintf("%d/s", held[i]), "-"
		if g.closed {
			rate = fmt.Sprintf("%.0f/s, closed loop", best[i].Goodput)
		}
		if best[i].Lag >= 0 {
			late = best[i].Lag.Round(time.Microsecond).String()
		}
		at := "-"
		if row := same[10_000]; !g.closed && len(row) > i && row[i].Requests > 0 {
			at = fmt.Sprintf("%.1f µs", perRequest(row[i]))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f µs\t%s\t\n", g.name, rate, best[i].P99.Round(10*time.Microsecond), late, perRequest(best[i]), at)
	}
	return w.Flush()
}
