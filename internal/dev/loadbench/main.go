// Command loadbench (`make bench-load`) compares msctl bench with other load generators on the same machine: the highest rate
// that each sustains against an echo service, how late it sends at that rate, and its CPU time per request.
//
// The others are vegeta's attacker (an open model over HTTP) and, where it is installed, wrk (a closed loop over HTTP). The rows
// of msctl include everything that msctl bench does: policy, outcomes, histograms, time series. A rate is sustained when 99% of
// the requests succeed with a p99 of at most 20 ms. The generators take turns at each rate.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// options are the command-line flags.
type options struct {
	role   string // "" orchestrates; "server" and "vegeta" are processes it starts
	tcp    string
	http   string
	rate   int
	length time.Duration
	msctl  string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, readOptions())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadbench:", err)
		os.Exit(1)
	}
}

func readOptions() options {
	var o options
	flag.StringVar(&o.role, "role", "", "internal: run as the `server or vegeta`")
	flag.StringVar(&o.tcp, "tcp", "", "internal: `host:port` of the echo over TCP")
	flag.StringVar(&o.http, "http", "", "internal: `host:port` of the echo over HTTP")
	flag.IntVar(&o.rate, "rate", 0, "internal: requests per second")
	flag.DurationVar(&o.length, "length", 3*time.Second, "length of each measurement")
	flag.StringVar(&o.msctl, "msctl", "bin/msctl", "the `program` to measure")
	flag.Parse()
	return o
}

func run(ctx context.Context, o options) error {
	switch o.role {
	case "server":
		return serve(ctx, o)
	case "vegeta":
		return attack(o)
	case "":
		return compare(ctx, o)
	}
	return fmt.Errorf("unknown -role %q: server or vegeta", o.role)
}
