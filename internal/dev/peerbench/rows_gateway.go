package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
)

// rateLimit is the number of requests that a caller may send per minute: all are counted, and none is rejected.
const rateLimit = 100_000_000

// closedLoop is the group whose NestJS row has the highest rate.
const closedLoop = "HTTP gateway and service, POST with token, DTO, and rate limit"

// gatewayRow is the part of a row that only gateways have.
type gatewayRow struct {
	tokens     int     // number of different tokens
	share      float64 // requests arrive at this share of NestJS's highest rate
	paced      float64 // that rate
	idle       int     // connections that are open and idle while the memory is measured
	used       bool    // each of them has sent a request
	mostMemory int     // target for the memory that these connections need, in bytes
}

// gatewayRows returns the rows of a gateway and the service behind it. Each request has a valid token (HS256) and a body with rules, and
// counts against the rate limit of its caller.
func gatewayRows() []row {
	const seen, fresh = 100, 200_000 // a gateway of msctl remembers 10,000 tokens
	list := []row{
		{group: closedLoop, name: "NestJS 12", make: nest, gatewayRow: gatewayRow{tokens: seen}},
		{group: closedLoop, name: "msctl", make: golang, target: 0.3, gatewayRow: gatewayRow{tokens: seen}},
		{group: closedLoop + ", every token new", name: "NestJS 12", make: nest, gatewayRow: gatewayRow{tokens: fresh}},
		{group: closedLoop + ", every token new", name: "msctl", make: golang, target: 0.3, gatewayRow: gatewayRow{tokens: fresh}},
		{group: closedLoop + ", at 0.8 of NestJS's highest rate", name: "NestJS 12", make: nest, gatewayRow: gatewayRow{tokens: seen, share: 0.8}},
		{group: closedLoop + ", at 0.8 of NestJS's highest rate", name: "msctl", make: golang, gatewayRow: gatewayRow{tokens: seen, share: 0.8}},
		{group: "HTTP gateway, memory of 10,000 idle connections", name: "msctl", make: golang, gatewayRow: gatewayRow{tokens: seen, idle: 10_000, mostMemory: 150 << 20}},
		{group: "HTTP gateway, memory of 10,000 idle connections", name: "msctl, after a request on each", make: golang, gatewayRow: gatewayRow{tokens: seen, idle: 10_000, used: true, mostMemory: 150 << 20}},
	}
	for i := range list {
		list[i].transport = "http"
	}
	return list
}

// orders returns the exchange of all gateway rows, with a number of different tokens.
func orders(callers int) exchange {
	return exchange{data: order(), response: order(), tokens: newTokens(callers)}
}

// highestRate returns the rate of NestJS in the latest repetition of the closed loop, or 0 if it was not measured.
func highestRate(rows []row, samples [][]sample) float64 {
	for i, r := range rows {
		if r.group == closedLoop && r.make == nest && len(samples[i]) > 0 {
			latest := samples[i][len(samples[i])-1]
			return float64(latest.requests) / latest.length.Seconds()
		}
	}
	return 0
}

// measureIdle opens connections, and measures how much memory a new gateway needs for them while they are idle.
func measureIdle(ctx context.Context, r row) (sample, error) {
	server, err := startService(ctx, r.make, r.transport)
	if err != nil {
		return sample{}, err
	}
	defer server.stop()
	before, err := residentMemory(server.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	g := &generator{transport: r.transport, conns: r.idle, exchange: orders(r.tokens)}
	conns := make([]net.Conn, 0, r.idle)
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	start := time.Now()
	for range r.idle {
		conn, err := g.openIdle(ctx, server.generatorAddr(), r.used)
		if err != nil {
			return sample{}, err
		}
		conns = append(conns, conn)
	}
	if err := awaitFiles(server.cmd.Process.Pid, r.idle); err != nil {
		return sample{}, err
	}
	after, err := residentMemory(server.cmd.Process.Pid)
	return sample{requests: r.idle, length: time.Since(start), memory: after - before}, err
}

// awaitFiles waits until a process has more than n open files: a connection counts only when it has been accepted.
func awaitFiles(pid, n int) error {
	var open []os.DirEntry
	var err error
	if !testenv.Poll(time.Minute, func() bool {
		open, err = os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		return err != nil || len(open) > n
	}) {
		return fmt.Errorf("the gateway has accepted fewer than %d of %d connections", len(open), n)
	}
	return err
}

// openIdle opens a connection, and sends a request on it if used is set.
func (g *generator) openIdle(ctx context.Context, addr string, used bool) (net.Conn, error) {
	s := newStream(g, 1)
	conn, err := s.protocol.open(ctx, addr)
	if err != nil || !used {
		return conn, err
	}
	if err := s.firstRequests(); err != nil {
		return conn, err
	}
	buf := make([]byte, 1<<12)
	n, err := conn.Read(buf)
	if err != nil {
		return conn, fmt.Errorf("read a reply: %w", err)
	}
	rest, err := s.replies(buf[:n], false)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("part of a reply: %q", shorten(rest))
	}
	return conn, err
}

// checkLatency prints the verdict on the p99 of a row with a share, compared with the row of NestJS before it, and returns the number
// of missed targets.
func (r row) checkLatency(w io.Writer, nestJS, ours []sample) (missed int) {
	if r.share == 0 || r.make == nest {
		return 0
	}
	p99 := func(s sample) time.Duration { return s.p99 }
	verdict := "met"
	if median(ours, p99) >= median(nestJS, p99) {
		verdict, missed = "MISSED", 1
	}
	fmt.Fprintf(w, "p99 lower than NestJS's: %s\t \n", verdict)
	return missed
}

// checkMemory prints the verdict on the memory of a row, and returns the number of missed targets.
func (r row) checkMemory(w io.Writer, samples []sample) (missed int) {
	if r.mostMemory == 0 {
		return 0
	}
	verdict := "met"
	if median(samples, func(s sample) int { return s.memory }) > r.mostMemory {
		verdict, missed = "MISSED", 1
	}
	fmt.Fprintf(w, "memory at most %d MiB: %s\t \n", r.mostMemory>>20, verdict)
	return missed
}
