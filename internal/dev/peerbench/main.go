// Command peerbench (`make bench`) measures msctl's servers and clients against a real NestJS 12 on the same machine.
//
// Each peer is a separate process. One neutral closed-loop generator drives the servers, on TCP and on each broker. It
// implements the protocols itself and checks every reply. A pair is a client and a server of the same make. The CPU time
// of the broker is not included, because it is the same for all. Repetitions are interleaved, so that a slow minute of the
// machine affects every peer alike, and medians are printed. The result that matters is the CPU time per request (user and
// system), as a ratio within one run: throughput on a shared machine is not meaningful.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// options are the command-line flags.
type options struct {
	role      string // "" orchestrates; "server", "gateway", and "client" are the Go peers it starts
	transport string
	addr      string
	behind    string // the service behind the gateway
	queue     string
	driver    bool // serve with the API of RabbitMQ's driver instead of runtime/microrabbit
	unread    bool // echo bytes
	row       string
	inFlight  int
	conns     int
	rate      int
	warm      time.Duration
	length    time.Duration
	reps      int
	strict    bool
	profile   string
	handlers  int    // of the service
	growth    string // the page to write the growth to
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, readOptions())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peerbench:", err)
		os.Exit(1)
	}
}

func readOptions() options {
	var o options
	flag.StringVar(&o.role, "role", "", "internal: run as the Go `server, gateway, or client`")
	flag.StringVar(&o.transport, "transport", "tcp", "internal: the `transport` of the role: tcp, rmq, redis, or nats")
	flag.StringVar(&o.addr, "addr", "", "internal: the `host:port` of the role, or its broker's URL")
	flag.StringVar(&o.behind, "behind", "", "internal: the `host:port` of the service behind the gateway")
	flag.StringVar(&o.queue, "queue", "", "internal: the `queue` of the role on RabbitMQ")
	flag.BoolVar(&o.driver, "driver", false, "internal: serve RabbitMQ with the API of its driver alone")
	flag.BoolVar(&o.unread, "unread", false, "internal: send back the bytes that arrive")
	flag.StringVar(&o.row, "row", "", "only rows whose name contains this `text`; for the client role, its row")
	flag.IntVar(&o.inFlight, "in-flight", 64, "requests in flight on all connections together, unless the row sets it")
	flag.IntVar(&o.rate, "rate", 0, "internal: requests per `second` of the client role; 0 for a closed loop")
	flag.IntVar(&o.conns, "connections", 1, "connections of the generator to TCP servers")
	flag.DurationVar(&o.warm, "warm", time.Second, "warm-up before each measurement")
	flag.DurationVar(&o.length, "length", 3*time.Second, "length of each measurement")
	flag.IntVar(&o.reps, "reps", 3, "interleaved repetitions")
	flag.BoolVar(&o.strict, "strict", false, "exit 1 when a target is missed")
	flag.StringVar(&o.profile, "profile", "", "write CPU profiles of the Go peers, server-TRANSPORT.pprof and client-TRANSPORT.pprof, to this `folder`")
	flag.IntVar(&o.handlers, "handlers", 0, "internal: the number of further handlers of the server")
	flag.StringVar(&o.growth, "growth", "", "measure how the cost of a message grows, and write tables to this `page` and plots to its folder images (make bench-growth)")
	flag.Parse()
	return o
}

func run(ctx context.Context, o options) error {
	switch o.role {
	case "server":
		return profiled(o, func() error { return serve(ctx, o) })
	case "gateway":
		return profiled(o, func() error { return serveGateway(ctx, o) })
	case "client":
		return profiled(o, func() error { return callInALoop(ctx, o) })
	case "":
		if o.growth != "" {
			return measureGrowth(ctx, o)
		}
		return compare(ctx, o)
	}
	return fmt.Errorf("unknown -role %q: server, gateway, or client", o.role)
}

// profiled runs a role and, with -profile, writes its CPU profile.
func profiled(o options, role func() error) error {
	if o.profile == "" {
		return role()
	}
	file, err := os.Create(filepath.Join(o.profile, o.role+"-"+o.transport+".pprof"))
	if err != nil {
		return fmt.Errorf("profile the %s: %w", o.role, err)
	}
	defer file.Close()
	if err := pprof.StartCPUProfile(file); err != nil {
		return fmt.Errorf("profile the %s: %w", o.role, err)
	}
	defer pprof.StopCPUProfile()
	return role()
}
