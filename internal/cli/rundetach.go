package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// runDetached starts `msctl run` in the background, shows its beginning, and
// returns when all services are ready.
func runDetached(ctx context.Context, s *term.IO, o runOptions, w *workspace.Workspace) error {
	if err := noneRuns(ctx, w); err != nil {
		return err
	}
	file, err := proc.LogFile(w, "")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find msctl's own program: %w", err)
	}
	p, err := proc.StartDetached(ctx, o.detachedWords(self), w.Dir, file)
	if err != nil {
		return err
	}
	printer := newRunPrinter(s, o, w, supervisedServices(w, o.services))
	printer.detached = true
	ready, reason := false, "the run has ended"
	err = followLog(ctx, file, p.Exited, func(line string, e proc.Event, isEvent bool) bool {
		if text, is := strings.CutPrefix(line, "error: "); is {
			reason = text
		}
		if isEvent {
			printer.one(e)
		}
		ready = e.Kind == proc.KindAllReady
		return !ready
	})
	if ctx.Err() != nil {
		stopQuietly(w)
	}
	if err == nil && !ready {
		err = exit.WithHint(errors.New(reason), "`msctl logs` has the whole log")
	}
	return err
}

// detachedWords is the command line of the run in the background.
func (o *runOptions) detachedWords(self string) []string {
	words := []string{self, "run", "--log", logJSON, "--ready-timeout", o.readyTimeout.String(), "--stop-timeout", o.stopTimeout.String()}
	if o.noWatch {
		words = append(words, "--no-watch")
	}
	return append(append(words, "--"), o.services...)
}

// supervisedServices are those that run when these are asked for.
func supervisedServices(w *workspace.Workspace, names []string) []proc.Service {
	return proc.New(proc.Options{Workspace: w, Services: names}).Services()
}

// noneRuns complains when the workspace runs already.
func noneRuns(ctx context.Context, w *workspace.Workspace) error {
	runs, err := proc.Runs(ctx, w, "")
	if err != nil || len(runs) == 0 {
		return err
	}
	status, err := runs[0].Status(ctx)
	if err != nil {
		return nil //nolint:nilerr // it has just ended
	}
	return exit.WithHint(fmt.Errorf("%s runs already, pid %d", w.Name, status.Pid), "`msctl ps` shows it, `msctl stop` stops it")
}

// stopQuietly stops what was begun in the background when its starter is told to
// stop.
func stopQuietly(w *workspace.Workspace) {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	runs, err := proc.Runs(ctx, w, "")
	if err != nil {
		return
	}
	for _, c := range runs {
		_ = c.Stop(ctx) // it was not ready yet, so nothing of it was used
	}
}

// followLog reads the log of a detached run, line by line, until each returns
// false, the run has ended, or ctx has, which is an error.
func followLog(ctx context.Context, file string, ended <-chan struct{}, each func(line string, e proc.Event, isEvent bool) bool) error {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var part strings.Builder // of a line that is being written
	for over := false; ; {
		text, err := in.ReadString('\n')
		part.WriteString(text)
		switch {
		case err == nil:
			line := strings.TrimRight(part.String(), "\n")
			part.Reset()
			e, ok := parseRunLine(line)
			if !each(line, e, ok) {
				return nil
			}
			continue
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("read the log: %w", err)
		case over:
			return nil
		}
		select {
		case <-ended:
			over = true // and once more to the end
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// parseRunLine reads a line of --log json again.
func parseRunLine(line string) (proc.Event, bool) {
	var l runLine
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &l) != nil {
		return proc.Event{}, false
	}
	e := proc.Event{
		Kind: l.Event, Service: l.Service, Stream: l.Stream, Pid: l.Pid, Paths: l.Paths, URL: l.URL, Quiet: l.Quiet,
		Took: time.Duration(l.TookMS * float64(time.Millisecond)), Delay: time.Duration(l.DelayMS * float64(time.Millisecond)),
	}
	if l.Text != nil {
		e.Text = *l.Text
	}
	e.Time, _ = time.Parse(time.RFC3339Nano, l.Time) // only shown
	return e, e.Kind != ""
}
