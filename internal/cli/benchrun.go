package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/tui"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// runBench makes the run, shows it while it goes on, and reports it.
func runBench(ctx context.Context, s *term.IO, o benchOptions) error {
	t, err := o.target.resolve(ctx, o.pattern)
	if err != nil {
		return err
	}
	if t.scheme == schemeHTTP {
		return withHint(usagef("%s: this version of msctl bench loads services, not HTTP", t), "use tcp://host:port")
	}
	plan, err := o.plan(t)
	if err != nil {
		return err
	}
	defer closeAll(plan.Conns)
	if err := o.knock(ctx, t); err != nil {
		return err
	}
	files, err := o.create(&plan, t)
	if err != nil {
		return err
	}
	defer files.discard()
	res, interrupted, err := o.load(ctx, s, plan, t)
	if err != nil {
		return err
	}
	r := &benchreport.Report{
		Result: res, Pattern: o.pattern.String(), Target: t.name() + atAddress(t), Load: o.describe(),
		Connections: o.connections * len(t.addresses), Command: o.command, Thresholds: o.parsed,
	}
	if err := r.Text(s.Out, s.OutPalette()); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if err := files.finish(r); err != nil {
		return err
	}
	return o.verdict(ctx, r, interrupted)
}

// plan is the load plan for a target.
func (o *benchOptions) plan(t target) (load.Plan, error) {
	metadata, err := o.metadata()
	if err != nil {
		return load.Plan{}, err
	}
	plan := load.Plan{
		Pattern: o.pattern, Data: o.data, Metadata: metadata, Policy: o.policy,
		Users: o.users, Think: o.think, Duration: o.duration, Requests: o.requests, Warmup: o.warmup, MaxInFlight: o.maxInFlight,
	}
	if o.pacer != nil {
		plan.Pacer = *o.pacer
	}
	for range o.connections {
		// The bound on what is in flight is the plan's.
		conn, err := o.target.dial(t, microtcp.WithMaxInFlight(1<<30))
		if err != nil {
			closeAll(plan.Conns)
			return load.Plan{}, err
		}
		plan.Conns = append(plan.Conns, conn)
	}
	return plan, nil
}

func closeAll(conns []micro.Conn) {
	for _, c := range conns {
		_ = c.Close() // nothing is in flight any more
	}
}

// knockTimeout bounds the question whether a target is there at all.
const knockTimeout = 3 * time.Second

// knock tells before any load when the target cannot be reached. Whether it
// answers the question is not asked: the run will tell.
func (o *benchOptions) knock(ctx context.Context, t target) error {
	for _, address := range t.addresses {
		one := t
		one.addresses = []string{address}
		if _, err := o.target.describe(ctx, one, knockTimeout); errors.Is(err, micro.ErrUnreachable) {
			return explain(err, one)
		}
	}
	return context.Cause(ctx)
}

// load makes the run and shows it. interrupted tells that a person ended it
// with Ctrl-C on the screen, where it is a key and no signal.
func (o *benchOptions) load(ctx context.Context, s *term.IO, plan load.Plan, t target) (res *load.Result, interrupted bool, err error) {
	run, err := load.Start(ctx, plan)
	if err != nil {
		return nil, false, fmt.Errorf("start the run: %w", err)
	}
	if !s.CanDraw() || o.noTUI {
		progress(s, run)
		return run.Wait(), false, nil
	}
	interrupted, err = tui.Bench(run, tui.BenchScreen{
		Pattern: o.pattern.String(), Target: t.name(), In: os.Stdin, Out: os.Stderr, Color: s.ErrPalette().Enabled(),
	})
	if err != nil {
		run.Stop()
	}
	return run.Wait(), interrupted, err
}

// progress prints a line a second until the run has finished.
func progress(s *term.IO, run *load.Run) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-run.Done():
			return
		case <-tick.C:
			s.Notef("%s", progressLine(s.ErrPalette(), run.Snapshot(1)))
		}
	}
}

// progressLine is what happened in the last complete second.
func progressLine(p term.Palette, snap load.Snapshot) string {
	last := snap.Last
	text := fmt.Sprintf("%6s  offered %s  ok %s", (last.At + time.Second).String(), benchreport.Count(last.Offered), benchreport.Count(last.OK))
	if last.Failed > 0 {
		text += "  " + p.Bad("failed "+benchreport.Count(last.Failed))
	}
	if last.Shed > 0 {
		text += "  " + p.Bad("shed "+benchreport.Count(last.Shed))
	}
	if last.Attempts > last.Offered {
		text += fmt.Sprintf("  attempts %s", benchreport.Count(last.Attempts))
	}
	if last.Late > 0 {
		text += "  " + p.Warn("late "+benchreport.Count(last.Late))
	}
	text += fmt.Sprintf("  p50 %s  p99 %s  in flight %s", benchreport.Duration(last.P50), benchreport.Duration(last.P99), benchreport.Count(snap.InFlight))
	if snap.Phase != load.Loading {
		text += "  " + p.Dim(snap.Phase.String())
	}
	return text
}

// verdict is what the command ends with: the thresholds decide where there are
// any; else a run in which nothing succeeded has failed.
func (o *benchOptions) verdict(ctx context.Context, r *benchreport.Report, interrupted bool) error {
	if crossed := r.Crossed(); len(crossed) > 0 {
		var texts []string
		for _, t := range crossed {
			texts = append(texts, fmt.Sprintf("%s (measured %s)", t, t.Measured(&r.Result.Snapshot)))
		}
		return withCode(fmt.Errorf("threshold crossed: %s", strings.Join(texts, ", ")), exitThreshold)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if interrupted {
		return withCode(said(errors.New("stopped by Ctrl-C")), exitInterrupted)
	}
	totals := &r.Result.Totals
	if len(o.parsed) > 0 || totals.Outcomes[load.OK] > 0 || totals.Offered == 0 {
		return nil
	}
	most := r.Result.Errors[0]
	code := map[load.Outcome]int{
		load.Error: exitService, load.Unreachable: exitUnreachable, load.Reset: exitUnreachable,
		load.Timeout: exitTimeout, load.Shed: exitFailed,
	}[most.Outcome]
	return withCode(fmt.Errorf("no request succeeded: most often %s (%s)", most.Outcome, most.Text), code)
}

// benchFiles are the files that a run writes.
type benchFiles struct {
	save, vegeta *os.File
	encoder      *benchreport.Vegeta
}

// create opens the files before anything is sent, so that a path that cannot be
// written costs no run.
func (o *benchOptions) create(plan *load.Plan, t target) (*benchFiles, error) {
	f := &benchFiles{}
	for _, file := range []struct {
		flag, path string
		into       **os.File
	}{{"--save", o.save, &f.save}, {"--vegeta", o.vegeta, &f.vegeta}} {
		if file.path == "" {
			continue
		}
		created, err := os.Create(file.path)
		if err != nil {
			f.discard()
			return nil, usagef("%s: %w", file.flag, err)
		}
		*file.into = created
	}
	if f.vegeta != nil {
		f.encoder = benchreport.NewVegeta(f.vegeta, o.pattern.String(), t.String())
		plan.OnResult = f.encoder.Result
	}
	return f, nil
}

// discard closes what is still open.
func (f *benchFiles) discard() {
	for _, file := range []*os.File{f.save, f.vegeta} {
		if file != nil {
			_ = file.Close() // closed already, or of no use
		}
	}
}

// finish writes what is written at the end and closes the files.
func (f *benchFiles) finish(r *benchreport.Report) error {
	if f.save != nil {
		if err := writeAndClose(f.save, r.Save); err != nil {
			return err
		}
	}
	if f.vegeta != nil {
		return writeAndClose(f.vegeta, func(io.Writer) error { return f.encoder.Close() })
	}
	return nil
}

func writeAndClose(file *os.File, write func(io.Writer) error) error {
	if err := errors.Join(write(file), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file.Name(), err)
	}
	return nil
}
