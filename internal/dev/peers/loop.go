package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// mark is a line that peerbench reads.
type mark struct {
	Event     string    `json:"event"` // start or done
	Calls     int       `json:"calls,omitempty"`
	Latencies []float64 `json:"latencies,omitempty"` // p50 and p99 in ms
}

func (m mark) print() error { return json.NewEncoder(os.Stdout).Encode(m) }

// The phases of a measurement. Only calls that end while measuring are counted.
const (
	warming int32 = iota
	measuring
	stopping
)

// callInALoop calls from o.inFlight goroutines through warm-up and measurement, and prints the marks. Then it runs until its input ends, so that
// its memory can be read.
func callInALoop(ctx context.Context, c client, o options) error {
	one := all(1)[0]
	call := func() error {
		_, err := c.echo(ctx, one)
		return err
	}
	if o.row == "list" {
		call = func() error {
			n, err := c.list(ctx)
			if err == nil && n != listLength {
				err = fmt.Errorf("wrong reply: %d items", n)
			}
			return err
		}
	}
	took, err := measure(call, o)
	if err != nil {
		return err
	}
	quantile := func(q float64) float64 {
		return float64(took[min(len(took)-1, int(float64(len(took))*q))]) / float64(time.Millisecond)
	}
	if err := (mark{Event: "done", Calls: len(took), Latencies: []float64{quantile(0.5), quantile(0.99)}}).print(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// measure returns the sorted latencies of the calls of the measurement, at least one.
func measure(call func() error, o options) ([]time.Duration, error) {
	var phase atomic.Int32
	took := make([][]time.Duration, o.inFlight)
	var group errgroup.Group
	for i := range took {
		took[i] = make([]time.Duration, 0, 1<<14)
		group.Go(func() error {
			for phase.Load() != stopping {
				start := time.Now()
				if err := call(); err != nil {
					return err
				}
				if phase.Load() == measuring {
					took[i] = append(took[i], time.Since(start))
				}
			}
			return nil
		})
	}
	<-time.After(o.warm)
	phase.Store(measuring)
	if err := (mark{Event: "start"}).print(); err != nil {
		return nil, err
	}
	<-time.After(o.length)
	phase.Store(stopping)
	if err := group.Wait(); err != nil {
		return nil, err
	}
	list := slices.Concat(took...)
	if len(list) == 0 {
		return nil, fmt.Errorf("no call ended within %s", o.length)
	}
	slices.Sort(list)
	return list, nil
}
