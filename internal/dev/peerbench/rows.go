package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
)

// The kinds of peers.
const (
	nest   = "nest"
	golang = "msctl"
	driver = "msctl on the RabbitMQ driver alone"
	echoed = "raw limit"              // bytes are sent back as they arrive, so nothing can be cheaper
	single = "msctl on one processor" // as Node.js is: the two processes of a pair do not compete for a small machine
)

// row is one line of the result: one kind of peer that does one kind of work. All rows of a group are compared with its
// first row.
type row struct {
	group     string
	name      string
	make      string
	server    string // the make of the server; "" for that of the client
	transport string
	pair      bool   // use a client of this make instead of the generator
	cmd       string // the pattern's cmd
	inFlight  int    // 0 for the value of -in-flight
	rate      int    // requests per second, however many are in flight then; 0 for a closed loop
	target    float64
	gatewayRow
}

// rows returns all rows. A target limits the CPU per request relative to the group's first row.
func rows() []row {
	all := tcpRows()
	for i := range all {
		all[i].transport = "tcp"
	}
	for _, transport := range brokers() {
		all = append(all, brokerRows(transport)...)
	}
	return append(all, gatewayRows()...)
}

// brokers returns the transports with a broker, by the names of testdata/nest.
func brokers() []string { return []string{"rmq", "redis", "nats"} }

// brokerRows returns the rows of one broker. With one request in flight, waking up dominates the cost of a message for every
// peer, so there is no target.
func brokerRows(transport string) []row {
	name := map[string]string{"rmq": "RabbitMQ", "redis": "Redis", "nats": "NATS"}[transport]
	list := []row{
		{group: "200-byte echo, server", name: "NestJS 12.1.1", make: nest, cmd: "echo"},
		{group: "200-byte echo, server", name: "msctl, typed", make: golang, cmd: "echo", target: 0.5},
		{group: "200-byte echo, server", name: "msctl, raw JSON", make: golang, cmd: "raw", target: 0.5},
		{group: "200-byte echo, server, 1 in flight", name: "NestJS 12.1.1", make: nest, cmd: "echo", inFlight: 1},
		{group: "200-byte echo, server, 1 in flight", name: "msctl, typed", make: golang, cmd: "echo", inFlight: 1},
		{group: "20 KB reply, server", name: "NestJS 12.1.1", make: nest, cmd: "list"},
		{group: "20 KB reply, server", name: "msctl, typed", make: golang, cmd: "list", target: 0.6},
		{group: "200-byte echo, client and server", name: "NestJS 12.1.1", make: nest, pair: true, cmd: "echo"},
		{group: "200-byte echo, client and server", name: "msctl, typed", make: golang, pair: true, cmd: "echo"},
	}
	var all []row
	for _, r := range list {
		r.transport, r.group = transport, name+", "+r.group
		all = append(all, r)
		if transport == "rmq" && r.make == golang && !r.pair {
			r.make, r.name, r.target = driver, r.name+", the driver itself", 0
			all = append(all, r)
		}
		if transport == "nats" && r.make == golang && r.cmd != "raw" {
			r.make, r.name, r.target = natsMicro, "NATS micro (nats.go)", 0
			all = append(all, r)
		}
	}
	return all
}

func tcpRows() []row {
	return []row{
		{group: "200-byte echo, server", name: "NestJS 12.1.1", make: nest, cmd: "echo"},
		{group: "200-byte echo, server", name: "msctl, typed", make: golang, cmd: "echo", target: 0.35},
		{group: "200-byte echo, server", name: "msctl, raw JSON", make: golang, cmd: "raw", target: 0.2},
		{group: "200-byte echo, server", name: "raw limit: frames echoed unread", make: echoed, cmd: "unread"},
		{group: "20 KB reply, server", name: "NestJS 12.1.1", make: nest, cmd: "list"},
		{group: "20 KB reply, server", name: "msctl, typed", make: golang, cmd: "list", target: 0.6},
		{group: "200-byte echo, client and server", name: "NestJS 12.1.1", make: nest, pair: true, cmd: "echo"},
		{group: "200-byte echo, client and server", name: "msctl, typed", make: golang, pair: true, cmd: "echo", target: 0.3},
		{group: "200-byte echo, client and server", name: "grpc-go", make: grpcGo, pair: true, cmd: "echo"},
		{group: "200-byte echo, client and server", name: "connect-go, JSON", make: connectJSON, pair: true, cmd: "echo"},
		{group: "200-byte echo, client and server", name: "connect-go, binary", make: connectBinary, pair: true, cmd: "echo"},
		{group: "200-byte echo, client and server", name: "msctl, typed, GOMAXPROCS=1", make: single, pair: true, cmd: "echo", target: 0.3},
		{group: "20 KB reply, client and server", name: "NestJS 12.1.1", make: nest, pair: true, cmd: "list"},
		{group: "20 KB reply, client and server", name: "msctl, typed", make: golang, pair: true, cmd: "list", target: 1},
		{group: "20 KB reply, client and server", name: "grpc-go", make: grpcGo, pair: true, cmd: "list"},
		{group: "20 KB reply, client and server", name: "connect-go, JSON", make: connectJSON, pair: true, cmd: "list"},
		{group: "20 KB reply, client and server", name: "connect-go, binary", make: connectBinary, pair: true, cmd: "list"},
		// NestJS leaves Nagle's algorithm on. What counts here are the latencies.
		{group: "200-byte echo, 100/s, client of a NestJS server", name: "NestJS 12.1.1", make: nest, pair: true, cmd: "echo", rate: 100},
		{group: "200-byte echo, 100/s, client of a NestJS server", name: "msctl, typed", make: golang, server: nest, pair: true, cmd: "echo", rate: 100},
	}
}

// sample is one measurement of a row.
type sample struct {
	requests   int
	length     time.Duration
	p50, p99   time.Duration
	server     time.Duration // CPU time of the server process
	client     time.Duration // CPU time of the client process of a pair
	memory     int           // of the server, in bytes
	clientHeld int           // of the client, in bytes
}

// perRequest returns the CPU time per request, server and client together.
func (s sample) perRequest() time.Duration {
	return (s.server + s.client) / time.Duration(max(s.requests, 1))
}

func compare(ctx context.Context, o options) error {
	wanted := slices.DeleteFunc(rows(), func(r row) bool { return !strings.Contains(r.group+" "+r.name, o.row) })
	if len(wanted) == 0 {
		return fmt.Errorf("no row matches %q", o.row)
	}
	wanted = available(os.Stderr, wanted)
	if len(wanted) == 0 {
		return errors.New("no peer of these rows is installed")
	}
	services, err := startServices(ctx, wanted, o)
	defer func() {
		for _, s := range services {
			s.stop()
		}
	}()
	if err != nil {
		return err
	}
	wanted = slices.DeleteFunc(wanted, func(r row) bool { return services[r.place()] == nil })
	samples := make([][]sample, len(wanted))
	for rep := range o.reps {
		for i, r := range wanted {
			fmt.Fprintf(os.Stderr, "\r\033[K%d/%d %s: %s", rep+1, o.reps, r.group, r.name)
			if r.share > 0 {
				if r.paced = r.share * highestRate(wanted, samples); r.paced == 0 {
					return fmt.Errorf("%s: requires the row of NestJS in the group %q", r.group, closedLoop)
				}
			}
			s, err := measure(ctx, r, services[r.place()], o)
			if err != nil {
				fmt.Fprintln(os.Stderr)
				return fmt.Errorf("%s, %s: %w", r.group, r.name, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
	if missed := printTable(wanted, samples, o); missed > 0 && o.strict {
		return fmt.Errorf("%d targets missed", missed)
	}
	return nil
}

// startServices starts the service of each row, by its place. It prints a line for each peer that cannot be started, and has no service for it. A
// service of msctl that cannot be started is an error.
func startServices(ctx context.Context, rows []row, o options) (services map[string]*service, err error) {
	services = map[string]*service{}
	for _, r := range rows {
		if _, started := services[r.place()]; started {
			continue
		}
		s, err := startService(ctx, r.serves(), r.transport, serviceArgs(r, o)...)
		switch {
		case err == nil:
			services[r.place()] = s
		case r.ours():
			return services, err
		default:
			fmt.Fprintln(os.Stderr, "skipped rows:", err)
			services[r.place()] = nil
		}
	}
	maps.DeleteFunc(services, func(_ string, s *service) bool { return s == nil })
	return services, nil
}

// serviceArgs returns the arguments of the process of a row's service.
func serviceArgs(r row, o options) []string {
	switch {
	case r.serves() == driver:
		return []string{"-driver"}
	case r.serves() == echoed:
		return []string{"-unread"}
	case r.serves() == golang && o.profile != "":
		return []string{"-profile", o.profile}
	}
	return nil
}

// available returns the rows whose peers are installed, and prints one line for each
// peer that is missing.
func available(out io.Writer, all []row) (rows []row) {
	missing := map[string]bool{}
	for _, r := range all {
		reasons := r.missing()
		for _, reason := range reasons {
			if !missing[reason] {
				fmt.Fprintln(out, "skipped rows:", reason)
			}
			missing[reason] = true
		}
		if len(reasons) == 0 {
			rows = append(rows, r)
		}
	}
	return rows
}

// missing returns the reasons why the peers of a row cannot run on this machine.
func (r row) missing() (reasons []string) {
	broker := map[string]func() string{"rmq": testenv.RabbitMQMissing, "redis": testenv.RedisMissing, "nats": testenv.NATSMissing}[r.transport]
	if broker != nil {
		reasons = append(reasons, broker())
	}
	if r.make == nest || r.server == nest {
		reasons = append(reasons, testenv.NestMissing(testenv.Nest12))
		if r.transport == "http" {
			reasons = append(reasons, testenv.NestMissing(testenv.NestApps))
		}
	}
	if kindOf(r.make) != "" {
		_, reason := buildPeers()
		reasons = append(reasons, reason)
	}
	return slices.DeleteFunc(reasons, func(reason string) bool { return reason == "" })
}

// place identifies the service of a row, which rows with the same make and transport share.
func (r row) place() string { return r.serves() + " on " + r.transport }

// serves returns the make of the row's server.
func (r row) serves() string { return cmp.Or(r.server, r.make) }

// ours reports whether the row's server is one of msctl.
func (r row) ours() bool { return r.serves() != nest && kindOf(r.serves()) == "" }

// measure takes one sample of a row.
func measure(ctx context.Context, r row, server *service, o options) (sample, error) {
	if r.idle > 0 {
		return measureIdle(ctx, r)
	}
	meter := newMeter(server)
	var s sample
	if r.pair {
		done, err := runClient(ctx, r.make, server, clientArgs(r, o), meter.mark)
		if err != nil {
			return s, err
		}
		s = sample{requests: done.Calls, p50: fromMillis(done.Latencies[0]), p99: fromMillis(done.Latencies[1])}
	} else {
		g := &generator{transport: r.transport, queue: server.queue, addr: server.generatorAddr(), conns: 1, inFlight: cmp.Or(r.inFlight, o.inFlight), exchange: exchangeOf(r.cmd)}
		switch r.transport {
		case "tcp":
			g.conns = o.conns
		case "http":
			g.conns, g.rate, g.exchange = g.inFlight, r.paced, orders(r.tokens)
		}
		took, err := g.run(ctx, o.warm, o.length, func() { meter.mark(0) })
		if err != nil {
			return s, err
		}
		s = sample{requests: len(took), p50: quantile(took, 0.5), p99: quantile(took, 0.99)}
	}
	return s, meter.into(&s)
}

func exchangeOf(cmd string) exchange {
	if cmd == "list" {
		return exchange{cmd: cmd, data: []byte("{}"), response: mustJSON(items(listLength))}
	}
	one := mustJSON(items(1)[0])
	return exchange{cmd: cmd, data: one, response: one, echoed: cmd == "unread"}
}

// clientArgs returns the arguments of a client process, which differ by kind.
func clientArgs(r row, o options) []string {
	inFlight, rate := strconv.Itoa(o.inFlight), strconv.Itoa(r.rate)
	if r.make == nest {
		return []string{"--row", r.cmd, "--in-flight", inFlight, "--rate", rate,
			"--warm", strconv.FormatInt(o.warm.Milliseconds(), 10), "--ms", strconv.FormatInt(o.length.Milliseconds(), 10)}
	}
	return []string{"-profile", o.profile, "-row", r.cmd, "-in-flight", inFlight, "-rate", rate, "-warm", o.warm.String(), "-length", o.length.String()}
}

func fromMillis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// meter reads the clocks of the processes at the two ends of a measurement.
type meter struct {
	service *service
	at      []time.Time
	server  []time.Duration
	client  []time.Duration
	memory  int
	held    int
	err     error
}

func newMeter(s *service) *meter { return &meter{service: s} }

// mark reads all clocks once; a client PID of 0 means that there is no client.
func (m *meter) mark(client int) {
	var errs [4]error
	var server, own time.Duration
	server, errs[0] = m.service.usage()
	if client != 0 {
		own, errs[1] = cpuTime(client)
		m.held, errs[2] = residentMemory(client)
	}
	m.memory, errs[3] = residentMemory(m.service.cmd.Process.Pid)
	m.at, m.server, m.client = append(m.at, time.Now()), append(m.server, server), append(m.client, own)
	m.err = errors.Join(append(errs[:], m.err)...)
}

// into writes the differences between the two marks to the sample.
func (m *meter) into(s *sample) error {
	if m.err != nil {
		return m.err
	}
	if len(m.at) != 2 {
		return fmt.Errorf("%d marks instead of a start and an end", len(m.at))
	}
	s.length = m.at[1].Sub(m.at[0])
	s.server, s.client = m.server[1]-m.server[0], m.client[1]-m.client[0]
	s.memory, s.clientHeld = m.memory, m.held
	return nil
}

// printTable prints the medians and returns the number of missed targets.
func printTable(wanted []row, samples [][]sample, o options) (missed int) {
	fmt.Printf("%d in flight (unless the row sets another number) on %d connection(s), closed loop (unless the row sets a rate), medians of %d interleaved repetitions of %s\n", o.inFlight, o.conns, o.reps, o.length)
	fmt.Println("CPU is user and system time; the ratio compares the CPU per request with NestJS's in this run")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	var base time.Duration
	for i, r := range wanted {
		if i == 0 || wanted[i-1].group != r.group {
			base = 0
			if r.make == nest {
				base = median(samples[i], sample.perRequest)
			}
			fmt.Fprintf(w, "\n%s\t \n", r.group)
			fmt.Fprint(w, " \treq/s\tp50\tp99\tserver CPU\tclient CPU\tmemory\tratio\ttarget\t \t\n")
		}
		missed += printRow(w, r, samples[i], base)
		if i > 0 && wanted[i-1].group == r.group {
			missed += r.checkLatency(w, samples[i-1], samples[i])
		}
		missed += r.checkMemory(w, samples[i])
	}
	_ = w.Flush() // there is nowhere left to report an error
	return missed
}

func printRow(w *tabwriter.Writer, r row, samples []sample, base time.Duration) (missed int) {
	each := func(of func(sample) time.Duration) string {
		return fmt.Sprintf("%.2f µs", float64(median(samples, of))/1e3)
	}
	client, target, verdict := "", "", ""
	memory := fmt.Sprintf("%d MiB", median(samples, func(s sample) int { return s.memory })>>20)
	if r.pair {
		client = each(func(s sample) time.Duration { return s.client / time.Duration(s.requests) })
		memory += fmt.Sprintf(" + %d MiB", median(samples, func(s sample) int { return s.clientHeld })>>20)
	}
	ratio := "-" // NestJS was not measured
	if base > 0 {
		value := float64(median(samples, sample.perRequest)) / float64(base)
		ratio = fmt.Sprintf("%.2f", value)
		if r.target > 0 {
			target, verdict = fmt.Sprintf("%.2f", r.target), "met"
			if value > r.target {
				verdict, missed = "MISSED", 1
			}
		}
	}
	rate := median(samples, func(s sample) float64 { return float64(s.requests) / s.length.Seconds() })
	fmt.Fprintf(w, "%s\t%.0f\t%.2f ms\t%.2f ms\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.name, rate,
		millis(median(samples, func(s sample) time.Duration { return s.p50 })),
		millis(median(samples, func(s sample) time.Duration { return s.p99 })),
		each(func(s sample) time.Duration { return s.server / time.Duration(s.requests) }),
		client, memory, ratio, target, verdict)
	return missed
}

// median returns the median of a value over the samples.
func median[T cmp.Ordered](samples []sample, of func(sample) T) T {
	values := make([]T, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
