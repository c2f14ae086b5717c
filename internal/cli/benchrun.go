package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/compare"
	"github.com/msctl/msctl/internal/load/lab"
	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/printcode"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/tui"
	"github.com/msctl/msctl/runtime/policy"
)

// runBench makes the runs, shows them while they go on, and reports them.
func runBench(ctx context.Context, s *term.IO, o *benchOptions) error {
	if err := o.resolve(ctx); err != nil {
		return err
	}
	files, err := o.benchOutput.open(o.title(), o.targets())
	if err != nil {
		return err
	}
	defer files.discard()
	defer roomyGC()()
	b := &bencher{s: s, o: o, files: files}
	stopped := b.work(ctx)
	if len(b.runs) == 0 {
		return cmp.Or(stopped, context.Cause(ctx))
	}
	for _, w := range b.warnings {
		s.Notef("%s %s", s.ErrPalette().Warn("warning:"), w)
	}
	d := b.document()
	if err := d.Text(s.Out, s.OutPalette()); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if err := files.finish(d); err != nil {
		return err
	}
	return cmp.Or(b.end(ctx, d), stopped) // what was measured is reported all the same
}

// benchGC is how much garbage a load test lets gather, in percent of what it
// keeps: it keeps little, and collecting often would cost it a fifth of its time.
const benchGC = 400

// roomyGC has garbage collected less often, until the returned function is called.
// A GOGC of the person's own stays as it is.
func roomyGC() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(benchGC)
	return func() { debug.SetGCPercent(before) }
}

// resolve finds out whom each message is for, and whether they are there.
func (o *benchOptions) resolve(ctx context.Context) error {
	for _, m := range o.messages {
		flags := o.target
		if m.to != "" {
			flags.To = m.to
		}
		t, err := flags.Resolve(ctx, m.route)
		if err != nil {
			return m.blame("to", err)
		}
		if err := m.suit(t); err != nil {
			return err
		}
		if err := o.faults.suit(t); err != nil {
			return o.fromFile.blame(err)
		}
		m.target = t
	}
	return o.knock(ctx)
}

// bencher makes the runs of a bench, one after the other.
type bencher struct {
	s      *term.IO
	o      *benchOptions
	files  *benchFiles
	stages *tui.Stages // where several runs are drawn; nil: not drawn

	runs        []benchreport.Run
	experiment  *benchreport.Experiment
	calm        time.Duration // what one request takes at rest; 0: not measured
	interrupted bool          // by Ctrl-C on the screen
	warnings    []string      // told when no screen is drawn any more
}

// work makes all the runs, on one screen where there is one.
func (b *bencher) work(ctx context.Context) (err error) {
	if !b.o.lab.several() || !b.draws() {
		return b.make(ctx)
	}
	b.interrupted, err = tui.Lab(ctx, b.screen(), func(ctx context.Context, stages *tui.Stages) error {
		b.stages = stages
		return b.make(ctx)
	})
	if errors.Is(err, tui.ErrQuit) {
		return nil
	}
	return err
}

func (b *bencher) draws() bool { return b.s.CanDraw() && !b.o.noTUI }

func (b *bencher) screen() tui.BenchScreen {
	pattern, to := b.o.title(), b.o.targets()
	if b.o.lab.demo {
		pattern, to = "--demo", "a service that comes with msctl"
	}
	return tui.BenchScreen{
		Pattern: pattern, Target: to, Presets: policy.PresetNames(), Preset: b.o.flags.preset,
		In: os.Stdin, Out: os.Stderr, Color: b.s.ErrPalette().Enabled(),
	}
}

// make makes all the runs.
func (b *bencher) make(ctx context.Context) error {
	switch {
	case b.o.lab.demo:
		return b.demo(ctx)
	case b.o.lab.collapse:
		return b.collapse(ctx)
	}
	trials, e, err := b.o.trials()
	if err != nil {
		return err
	}
	b.experiment = e
	return b.all(ctx, trials)
}

// all makes some runs, each when the service has got over the one before.
func (b *bencher) all(ctx context.Context, trials []trial) error {
	for i, t := range trials {
		if len(trials) > 1 {
			if err := b.rest(ctx); err != nil {
				return err
			}
		}
		stage := tui.Stage{Title: fmt.Sprintf("%d of %d: %s", i+1, len(trials), t.name), Name: t.name, Preset: t.o.flags.preset}
		r, err := newRig(ctx, t.o)
		if err != nil {
			return err
		}
		err = b.one(ctx, r, t, stage)
		r.close()
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	b.summarise()
	return nil
}

// summarise fills in the experiment, where there is one.
func (b *bencher) summarise() {
	if b.experiment == nil {
		return
	}
	lab.Summarise(b.experiment, b.runs)
	if b.stages == nil {
		return
	}
	text := b.experiment.Why
	if best := b.experiment.Best; best >= 0 {
		text = "★ " + benchreport.CellName(b.experiment.Axes, b.experiment.Cells[best].Values) + ": " + text
	}
	b.stages.Conclude(text)
}

// one makes one run, shows it, and keeps what came of it.
func (b *bencher) one(ctx context.Context, r *rig, t trial, stage tui.Stage) error {
	r.plan.OnResult = b.files.hook()
	run, err := load.Start(ctx, r.plan)
	if err != nil {
		return fmt.Errorf("start the run: %w", err)
	}
	stage.Run, stage.Triggers = faultRun{run, r}, r.plan.Triggers
	if err := b.show(run, stage); err != nil {
		run.Stop()
		run.Wait()
		return err
	}
	made, err := benchreport.NewRun(run.Wait(), r.about(t.name, t.cell))
	if err != nil {
		return err
	}
	b.runs = append(b.runs, made)
	if err := run.TriggerError(); err != nil {
		b.warnings = append(b.warnings, err.Error())
	}
	return nil
}

// show shows a run until it has finished.
func (b *bencher) show(run *load.Run, stage tui.Stage) (err error) {
	switch {
	case b.stages != nil:
		b.stages.Show(stage)
		<-run.Done()
	case b.draws():
		screen := b.screen()
		screen.Triggers = stage.Triggers
		b.interrupted, err = tui.Bench(stage.Run, screen)
	default:
		if stage.Name != "" {
			b.s.Notef("%s", b.s.ErrPalette().Bold(stage.Title))
		}
		progress(b.s, run, stage.Caption)
	}
	return err
}

// note tells what goes on beside the runs.
func (b *bencher) note(text string) {
	if b.stages != nil {
		b.stages.Note(text)
		return
	}
	b.s.Notef("%s", b.s.ErrPalette().Dim(text))
}

// document is everything that was measured.
func (b *bencher) document() *benchreport.Document {
	kind := benchreport.KindRun
	switch {
	case b.o.lab.collapse, b.o.lab.demo:
		kind = benchreport.KindCollapse
	case b.experiment != nil:
		kind = benchreport.KindSweep
	}
	d := benchreport.NewDocument(kind, b.o.tool, b.o.command, b.runs...)
	d.Experiment = b.experiment
	if d.Experiment != nil && d.Experiment.Why == "" { // it was stopped
		lab.Summarise(d.Experiment, b.runs)
	}
	d.Hold(b.o.parsed)
	d.Suggestion = benchreport.Suggest(d)
	return d
}

// end is what the command ends with: the thresholds decide where there are any,
// and the baseline; else a run in which nothing succeeded has failed.
func (b *bencher) end(ctx context.Context, d *benchreport.Document) error {
	if b.o.printPolicy != "" {
		if err := b.printPolicy(d); err != nil {
			return err
		}
	}
	worse, err := b.compare(d)
	if err != nil {
		return err
	}
	if err := cmp.Or(crossed(d), worse); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.interrupted {
		return exit.WithCode(exit.Said(errors.New("stopped by Ctrl-C")), exit.Interrupted)
	}
	if len(b.o.parsed) > 0 || b.o.lab.several() {
		return nil
	}
	return nothingSucceeded(&d.Runs[0])
}

// nothingSucceeded is the error of a run without an answer; nil for others.
func nothingSucceeded(r *benchreport.Run) error {
	if r.Outcomes[load.OK.String()] > 0 || r.Offered == 0 || len(r.Errors) == 0 {
		return nil
	}
	most := r.Errors[0]
	code := map[string]int{
		load.Error.String(): exit.Service, load.Unreachable.String(): exit.Unreachable, load.Reset.String(): exit.Unreachable,
		load.Timeout.String(): exit.Timeout, load.Shed.String(): exit.Failed,
	}[most.Outcome]
	return exit.WithCode(fmt.Errorf("no request succeeded: most often %s (%s)", most.Outcome, most.Text), code)
}

// printPolicy prints the suggested policy as code, or the run's where there is no
// suggestion.
func (b *bencher) printPolicy(d *benchreport.Document) error {
	settings := b.o.policy.Settings()
	if d.Suggestion != nil {
		settings = d.Suggestion.Policy.Settings()
	}
	fmt.Fprintln(b.s.Out)
	return printcode.WritePolicy(b.s.Out, b.o.printPolicy, settings)
}

// compare compares with the baseline, where there is one. worse is the error of a
// run that has regressed.
func (b *bencher) compare(d *benchreport.Document) (worse, err error) {
	if b.o.before == nil {
		return nil, nil
	}
	c, err := compare.Documents(b.o.before, d, compare.Options{A: b.o.baseline, B: "this run"})
	if err != nil {
		return nil, exit.Usagef("--baseline: %w", err)
	}
	fmt.Fprintln(b.s.Out)
	if err := c.Text(b.s.Out, b.s.OutPalette()); err != nil {
		return nil, fmt.Errorf("print the comparison: %w", err)
	}
	return regressed(c, b.o.baseline), nil
}
