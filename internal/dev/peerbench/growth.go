package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/dev/growth"
)

// axis is one property of a load or a service that grows, while the others stay as they are.
type axis struct {
	growth.Series
	values []int
	// at returns the load at a value, and the arguments of the service. The load's address is set later.
	at func(value int) (load *generator, args []string)
	// start starts the service; nil for the server that `make bench` measures.
	start func(ctx context.Context, value int) (*service, error)
}

// The loads of the axes.
const (
	growthInFlight = 64
	manyInFlight   = 1000 // so that each of a thousand connections has a request
)

// axes returns what is measured of a typed server over TCP.
func axes() []axis {
	load := func(conns, inFlight int, e exchange) *generator {
		return &generator{transport: "tcp", conns: conns, inFlight: inFlight, exchange: e}
	}
	return []axis{
		{
			Series: growth.Series{Name: "connections", Title: "connections", Note: "A 200-byte echo, with 1,000 requests in flight on all connections together: the more connections, the fewer messages share a read and a write."},
			values: []int{1, 3, 10, 30, 100, 300, 1000},
			at:     func(n int) (*generator, []string) { return load(n, manyInFlight, exchangeOf("echo")), nil },
		},
		{
			Series: growth.Series{Name: "handlers", Title: "handlers", Note: "A 200-byte echo, with 64 requests in flight on one connection, to a server with as many other handlers."},
			values: []int{10, 30, 100, 300, 1000, 3000, 10_000},
			at: func(n int) (*generator, []string) {
				return load(1, growthInFlight, exchangeOf("echo")), []string{"-handlers", fmt.Sprint(n)}
			},
		},
		{
			Series: growth.Series{Name: "payload", Title: "payload", Unit: "B", Note: "An echo of one string of this length, with one request in flight."},
			values: []int{100, 1000, 10_000, 100_000, 1_000_000, 10_000_000},
			at:     func(n int) (*generator, []string) { return load(1, 1, exchangeOfLength(n)), nil },
		},
		{
			Series: growth.Series{Name: "in-flight", Title: "requests in flight", Note: "A 200-byte echo on one connection. One request at a time wakes both sides for each message; several share reads and writes."},
			values: []int{1, 3, 10, 30, 100, 300, 1000, 3000, 10_000},
			at:     func(n int) (*generator, []string) { return load(1, n, exchangeOf("echo")), nil },
		},
		{
			Series: growth.Series{Name: "recording", Title: "messages in a recording", Note: "A 200-byte request to `msctl mock --from`, which looks up the recorded reply, with 64 requests in flight on one connection."},
			values: []int{100, 1000, 10_000, 100_000},
			at:     func(int) (*generator, []string) { return load(1, growthInFlight, exchangeOf("echo")), nil },
			start:  startMock,
		},
	}
}

// exchangeOfLength returns an echo of a string with a length.
func exchangeOfLength(n int) exchange {
	data := mustJSON(document{strings.Repeat("abcdefghij", n/10)})
	return exchange{cmd: "text", data: data, response: data}
}

// measureGrowth measures every point of every axis o.reps times, one after the other in each repetition, and writes the medians.
func measureGrowth(ctx context.Context, o options) error {
	list := slices.DeleteFunc(axes(), func(a axis) bool { return !strings.Contains(a.Name, o.row) })
	if len(list) == 0 {
		return fmt.Errorf("no axis matches %q", o.row)
	}
	loads := loadAverage()
	samples := make([][][]sample, len(list))
	for rep := range o.reps {
		for i := range list {
			a := &list[i]
			if samples[i] == nil {
				samples[i] = make([][]sample, len(a.values))
			}
			for j, value := range a.values {
				fmt.Fprintf(os.Stderr, "\r\033[K%d/%d %s: %d", rep+1, o.reps, a.Title, value)
				s, err := a.measure(ctx, value, o)
				if err != nil {
					fmt.Fprintln(os.Stderr)
					return fmt.Errorf("%s: %d: %w", a.Title, value, err)
				}
				samples[i][j] = append(samples[i][j], s)
			}
		}
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
	for i := range list {
		for j, value := range list[i].values {
			list[i].Points = append(list[i].Points, pointOf(value, samples[i][j]))
		}
	}
	return writeGrowth(list, o, loads)
}

// pointOf returns the medians of the samples at a value.
func pointOf(value int, samples []sample) growth.Point {
	return growth.Point{
		X: float64(value), Cost: median(samples, sample.perRequest),
		Rate: median(samples, func(s sample) float64 { return float64(s.requests) / s.length.Seconds() }),
	}
}

// measure takes a sample at one value, of a service of its own: what an earlier load has left behind does not count.
func (a *axis) measure(ctx context.Context, value int, o options) (sample, error) {
	g, args := a.at(value)
	start := a.start
	if start == nil {
		start = func(ctx context.Context, _ int) (*service, error) {
			return startService(ctx, golang, g.transport, args...)
		}
	}
	server, err := start(ctx, value)
	if err != nil {
		return sample{}, err
	}
	defer server.stop()
	g.addr = server.generatorAddr()
	for length := o.length; ; length *= 2 {
		meter := newMeter(server)
		took, err := g.run(ctx, o.warm, length, func() { meter.mark(0) })
		if err != nil {
			return sample{}, err
		}
		s := sample{requests: len(took), p50: quantile(took, 0.5), p99: quantile(took, 0.99)}
		if s.requests >= leastRequests || length > longestGrowth {
			return s, meter.into(&s)
		}
	}
}

// A sample has at least leastRequests, unless that takes much longer than longestGrowth.
const (
	leastRequests = 50
	longestGrowth = 20 * time.Second
)

// writeGrowth writes the tables into the page, and the plots into the folder images next to it. With o.row, it prints the tables of the axes that were measured.
func writeGrowth(list []axis, o options, loads string) error {
	page, err := os.ReadFile(o.growth)
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Medians of %d repetitions of %s, in each of which the points were measured one after the other, while other work ran on the machine: its load average was %s before the measurement.\n", o.reps, o.length, loads)
	if o.row != "" {
		for i := range list {
			text.WriteString("\n" + list[i].Table("images"))
		}
		_, err := fmt.Print(text.String())
		return err
	}
	images := filepath.Join(filepath.Dir(o.growth), "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	for i := range list {
		s := &list[i].Series
		text.WriteString("\n" + s.Table("images"))
		if err := os.WriteFile(filepath.Join(images, s.File()), []byte(s.Plot()), 0o644); err != nil {
			return err
		}
	}
	out, err := growth.Replace(string(page), text.String())
	if err != nil {
		return fmt.Errorf("%s: %w", o.growth, err)
	}
	return os.WriteFile(o.growth, []byte(out), 0o644)
}

// loadAverage returns the load averages of the machine over 1, 5, and 15 minutes, or "unknown".
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) >= 3 {
		return strings.Join(fields[:3], ", ")
	}
	return "unknown"
}
