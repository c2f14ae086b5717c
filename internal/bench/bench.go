package bench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/lab"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/policy"
)

// Display shows the runs of a bench. Its methods are called one at a time.
type Display interface {
	// Show shows a run. It may return before the run has finished; the next call
	// comes when it has. An error does not end the run.
	Show(Stage) error
	// Note shows what happens between the runs.
	Note(text string)
	// Conclude shows the conclusion from several runs.
	Conclude(text string)
}

// Stage is one run for a Display.
type Stage struct {
	// Title describes the run among several, such as "2 of 5: recommended".
	Title string
	// Name is the run's name among the results. It is empty for a single run, and
	// while a capacity is searched for.
	Name     string
	Run      *Run
	Triggers []load.Trigger // those that are planned
	Preset   string         // of the policy at the start
	// Caption, if set, explains the moment of a snapshot in a sentence.
	Caption func(*load.Snapshot) string
}

// Pauser returns a function that pauses the process of a service for a while, or an
// error if no service can be paused.
type Pauser func(context.Context) (func(ctx context.Context, service string, d time.Duration) error, error)

// Bench makes the runs of a Spec. Make it with Prepare, and call Close at the end.
// It is not safe for concurrent use.
type Bench struct {
	spec    *Spec
	pause   Pauser
	files   *files
	display Display

	runs        []report.Run
	experiment  *report.Experiment // nil for a single run
	suggestion  *report.Suggestion // of an experiment; nil until it has been tried
	restLatency time.Duration      // of a request before the first run; 0 until measured
	unseen      bool               // only the agents reach the service
	warnings    []string
	metrics     *metrics // nil without --metrics
}

// Prepare finds the targets of a Spec that has been checked, and opens the output
// files. Nothing is sent but what finding the targets takes.
func Prepare(ctx context.Context, s *Spec, pause Pauser) (*Bench, error) {
	if err := s.resolve(ctx); err != nil {
		return nil, err
	}
	files, err := s.Outputs.open(s.Title(), s.Targets())
	if err != nil {
		return nil, err
	}
	if s.Fleet != nil {
		if _, _, err = s.Share(); err == nil {
			err = s.Fleet.Connect(ctx)
		}
		if err != nil {
			files.discard()
			return nil, err
		}
	}
	b := &Bench{spec: s, pause: pause, files: files}
	if s.Metrics != "" {
		if b.metrics, err = serveMetrics(ctx, s.Metrics); err != nil {
			files.discard()
			return nil, exit.Usagef("--metrics: %w", err)
		}
	}
	return b, nil
}

// Close removes the output files that are not complete, and ends the metrics.
func (b *Bench) Close() {
	b.files.discard()
	b.metrics.close()
}

// Warnings returns what the user should know although the runs were made.
func (b *Bench) Warnings() []string { return b.warnings }

// Run makes all runs and shows them. When ctx ends, the run in progress is stopped
// and kept.
func (b *Bench) Run(ctx context.Context, display Display) error {
	defer relaxGC()()
	b.display = display
	switch {
	case b.spec.Trials.Demo:
		return b.demo(ctx)
	case b.spec.Trials.Collapse:
		return b.collapse(ctx)
	}
	trials, experiment, err := b.spec.trials()
	if err != nil {
		return err
	}
	b.experiment = experiment
	return b.all(ctx, trials)
}

// all makes several runs, each after the service has recovered from the previous.
func (b *Bench) all(ctx context.Context, trials []trial) error {
	for i, t := range trials {
		stage := Stage{Name: t.name, Preset: t.spec.Policy.Preset}
		if t.name != "" {
			stage.Title = fmt.Sprintf("%d of %d: %s", i+1, len(trials), t.name)
		}
		made, err := b.trial(ctx, t, stage, len(trials) > 1)
		if err != nil {
			return err
		}
		b.runs = append(b.runs, made)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	b.conclude()
	return b.suggest(ctx, trials)
}

// trial makes one run. With rested, the service first drains the backlog of the previous.
func (b *Bench) trial(ctx context.Context, t trial, stage Stage, rested bool) (made report.Run, err error) {
	if rested {
		if err := b.rest(ctx); err != nil {
			return made, err
		}
	}
	r, err := newRig(ctx, t.spec, b.pause)
	if err != nil {
		return made, err
	}
	defer r.close()
	return b.one(ctx, r, t, stage)
}

// one makes one run and shows it.
func (b *Bench) one(ctx context.Context, r *rig, t trial, stage Stage) (made report.Run, err error) {
	r.plan.OnResult = b.files.hook()
	run, err := b.start(ctx, r)
	if err != nil {
		return made, err
	}
	about := r.about(t.name, t.cell)
	watched := b.watch(run, about)
	b.metrics.follow(cmp.Or(stage.Name, about.Pattern), run)
	stage.Run, stage.Triggers = run, r.plan.Triggers
	if err := b.display.Show(stage); err != nil { // the run is worth more than its picture
		b.warnings = append(b.warnings, err.Error())
	}
	res := run.Wait()
	<-watched
	if err := run.TriggerError(); err != nil {
		b.warnings = append(b.warnings, err.Error())
	}
	return report.NewRun(res, r.about(t.name, t.cell)) // again, with the counts of the faults
}

// watchStep is how often a run is checked for thresholds that it can no longer meet.
const watchStep = 500 * time.Millisecond

// watch stops a run that can no longer meet a threshold of --abort-on. The channel is
// closed when the run has finished and is no longer watched.
func (b *Bench) watch(run Live, about report.About) <-chan struct{} {
	var list []Threshold
	for _, t := range b.spec.Thresholds {
		if t.Abort {
			list = append(list, t)
		}
	}
	watched := make(chan struct{})
	if len(list) == 0 {
		close(watched)
		return watched
	}
	go func() {
		defer close(watched)
		tick := time.NewTicker(watchStep)
		defer tick.Stop()
		for {
			select {
			case <-run.Done():
				return
			case <-tick.C:
			}
			best := report.Figures(run.BestCase(), about)
			if i := slices.IndexFunc(list, func(t Threshold) bool { return t.Lost(&best) }); i >= 0 {
				run.Abort(fmt.Sprintf("stopped: %s can no longer be met", list[i].Text))
				return
			}
		}
	}()
	return watched
}

// suggest tries the suggestion of an experiment as one more run of it: with the load and
// the faults of the best run, under the suggested policy.
func (b *Bench) suggest(ctx context.Context, trials []trial) error {
	if b.experiment == nil {
		return nil
	}
	d := b.document()
	err := lab.Suggest(d, func(suggested policy.Settings) (report.Run, error) {
		base := trials[0]
		if i := slices.IndexFunc(trials, func(t trial) bool { return t.cell == lab.Leader(b.experiment) }); i >= 0 {
			base = trials[i]
		}
		one := trial{lab.SuggestedName, report.TriedCell, base.spec.underPolicy(suggested)}
		return b.trial(ctx, one, Stage{Name: one.name, Title: "one more run: the suggested policy"}, true)
	})
	if err != nil {
		return err
	}
	b.runs, b.suggestion = d.Runs, d.Suggestion
	if b.suggestion.Policy != nil {
		b.display.Note("suggestion: " + b.suggestion.Policy.Text)
	}
	return nil
}

// conclude summarizes the experiment, if there is one.
func (b *Bench) conclude() {
	e := b.experiment
	if e == nil {
		return
	}
	lab.Summarize(e, b.runs)
	text := e.Why
	if e.Best >= 0 {
		text = "★ " + report.CellName(e.Axes, e.Cells[e.Best].Values) + ": " + text
	}
	b.display.Conclude(text)
}

// Document returns everything that was measured; nil if no run was made.
func (b *Bench) Document() *report.Document {
	if len(b.runs) == 0 {
		return nil
	}
	d := b.document()
	var thresholds []report.Threshold
	for _, t := range b.spec.Thresholds {
		thresholds = append(thresholds, t.Threshold)
	}
	d.Hold(thresholds)
	if d.Suggestion = b.suggestion; d.Suggestion == nil {
		d.Suggestion = report.Suggest(d)
	}
	d.Clean(b.spec.Secrets.Mask)
	return d
}

// document returns the runs, and the experiment with its best cell.
func (b *Bench) document() *report.Document {
	kind := report.KindRun
	switch {
	case b.spec.Trials.Collapse, b.spec.Trials.Demo:
		kind = report.KindCollapse
	case b.experiment != nil:
		kind = report.KindSweep
	}
	d := report.NewDocument(kind, b.spec.Tool, b.spec.Command, b.runs...)
	d.Experiment = b.experiment
	if d.Experiment != nil && d.Experiment.Why == "" { // the runs were stopped
		lab.Summarize(d.Experiment, b.runs)
	}
	return d
}

// Write writes the output files.
func (b *Bench) Write(d *report.Document) error { return b.files.finish(d) }

// gcPercent is the target of the garbage collector during a load test. The test
// keeps little memory, and frequent collections would take a fifth of its time.
const gcPercent = 400

// relaxGC makes the garbage collector run less often until restore is called. It
// does nothing if the user has set GOGC.
func relaxGC() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(gcPercent)
	return func() { debug.SetGCPercent(before) }
}
