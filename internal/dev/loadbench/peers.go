package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// payload is the data of every request and reply: about 170 bytes.
const payload = `{"id":"item-0001","name":"Stainless bottle","description":"Keeps a drink cold for more than a full day","price":19.95,"quantity":7,"createdAt":"2026-01-31T10:00:00.000Z"}`

// serve echoes over both transports until ctx ends.
func serve(ctx context.Context, o options) error {
	echo := &http.Server{Addr: o.http, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body) // the client may have disconnected
	})}
	go func() {
		<-ctx.Done()
		_ = echo.Close()
	}()
	failed := make(chan error, 1)
	go func() { failed <- echo.ListenAndServe() }()
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Cmd("echo"), func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	if err := s.Serve(ctx, microtcp.Listen(o.tcp)); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// measured is the result of a generator at one rate.
type measured struct {
	Goodput  float64       // ok replies per second
	Requests int           // made
	P99      time.Duration // of the latency it reports
	Lag      time.Duration // p99 of the sending delay; -1 if the generator does not report it
	CPU      time.Duration // of its process
}

// generator generates load at a rate (0 for the maximum) for a given time.
type generator struct {
	name   string
	closed bool // it has no rate
	run    func(ctx context.Context, rate int, length time.Duration) (measured, error)
}

// generators returns the load generators to compare.
func generators(o options) []generator {
	list := []generator{
		{"msctl, TCP", false, o.msctlRun("tcp://"+o.tcp, "cmd=echo", payload)},
		{"msctl, HTTP", false, o.msctlRun("http://"+o.http+"/", payload)},
		{"vegeta, HTTP", false, o.vegetaRun},
	}
	if wrk, err := exec.LookPath("wrk"); err == nil {
		list = append(list, generator{"wrk, HTTP, closed loop", true, o.wrkRun(wrk)})
	}
	return list
}

// output runs a command and returns what it printed and the CPU time it took.
func output(cmd *exec.Cmd) (text []byte, cpu time.Duration, err error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.Bytes(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

func (o options) msctlRun(to string, args ...string) func(context.Context, int, time.Duration) (measured, error) {
	return func(ctx context.Context, rate int, length time.Duration) (m measured, err error) {
		file := filepath.Join(os.TempDir(), fmt.Sprintf("loadbench-%d.json", os.Getpid()))
		defer os.Remove(file)
		cmd := exec.CommandContext(ctx, o.msctl, append([]string{"bench", "--no-tui", "--to", to, "--rate", strconv.Itoa(rate) + "/s",
			"--duration", length.String(), "--max-in-flight", "100000", "--save", file}, args...)...)
		if _, m.CPU, err = output(cmd); err != nil {
			return m, err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return m, err
		}
		var saved struct {
			Runs []struct {
				Goodput float64 `json:"goodput_per_s"`
				Offered int     `json:"offered"`
				Latency map[string]struct {
					P99 time.Duration `json:"p99_ns"`
				} `json:"latency"`
			} `json:"runs"`
		}
		if err := json.Unmarshal(text, &saved); err != nil || len(saved.Runs) != 1 {
			return m, fmt.Errorf("read the report of msctl: %w", err)
		}
		r := saved.Runs[0]
		m.Goodput, m.Requests, m.P99, m.Lag = r.Goodput, r.Offered, r.Latency["ok"].P99, r.Latency["lag"].P99
		return m, nil
	}
}

// attack runs vegeta's attacker as a separate process, so that its CPU time can be measured.
func attack(o options) error {
	targeter := vegeta.NewStaticTargeter(vegeta.Target{Method: "POST", URL: "http://" + o.http + "/", Body: []byte(payload)})
	var m vegeta.Metrics
	pacer := vegeta.ConstantPacer{Freq: o.rate, Per: time.Second}
	for res := range vegeta.NewAttacker(vegeta.Timeout(5*time.Second)).Attack(targeter, pacer, o.length, "echo") {
		m.Add(res)
	}
	m.Close()
	return json.NewEncoder(os.Stdout).Encode(measured{
		Goodput: float64(m.Requests) * m.Success / o.length.Seconds(), Requests: int(m.Requests), P99: m.Latencies.P99, Lag: -1,
	})
}

func (o options) vegetaRun(ctx context.Context, rate int, length time.Duration) (m measured, err error) {
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	text, cpu, err := output(exec.CommandContext(ctx, self, "-role", "vegeta", "-http", o.http, "-rate", strconv.Itoa(rate), "-length", length.String()))
	if err != nil {
		return m, err
	}
	err = json.Unmarshal(text, &m)
	m.CPU = cpu
	return m, err
}

// wrkRun runs wrk at its maximum rate with 64 connections.
func (o options) wrkRun(wrk string) func(context.Context, int, time.Duration) (measured, error) {
	requests := regexp.MustCompile(`(\d+) requests in`)
	perSecond := regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	p99 := regexp.MustCompile(`99%\s+([0-9.]+[mu]?s)`)
	return func(ctx context.Context, _ int, length time.Duration) (m measured, err error) {
		script := filepath.Join(os.TempDir(), fmt.Sprintf("loadbench-%d.lua", os.Getpid()))
		if err := os.WriteFile(script, []byte("wrk.method = 'POST'\nwrk.body = '"+payload+"'\n"), 0o600); err != nil {
			return m, err
		}
		defer os.Remove(script)
		seconds := strconv.Itoa(int(length.Seconds()))
		text, cpu, err := output(exec.CommandContext(ctx, wrk, "-t1", "-c64", "-d"+seconds+"s", "--latency", "-s", script, "http://"+o.http+"/"))
		if err != nil {
			return m, err
		}
		find := func(r *regexp.Regexp) string {
			if found := r.FindSubmatch(text); found != nil {
				return string(found[1])
			}
			return ""
		}
		m.CPU, m.Lag = cpu, -1
		m.Requests, err = strconv.Atoi(find(requests))
		if err != nil {
			return m, fmt.Errorf("read the output of wrk: %w", err)
		}
		m.Goodput, _ = strconv.ParseFloat(find(perSecond), 64)
		m.P99, _ = time.ParseDuration(find(p99))
		return m, nil
	}
}

// startServer starts the echo service on free ports.
func (o *options) startServer(ctx context.Context) (stop func(), err error) {
	for _, address := range []*string{&o.tcp, &o.http} {
		port, err := testenv.FreePort()
		if err != nil {
			return nil, err
		}
		*address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-role", "server", "-tcp", o.tcp, "-http", o.http)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the echo service: %w", err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was interrupted on purpose
	}, errors.Join(testenv.AwaitPort(ctx, o.tcp), testenv.AwaitPort(ctx, o.http))
}
