package operate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/runlog"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// runDetached starts `msctl run` in the background, prints its log, and returns when
// all services are ready.
func runDetached(ctx context.Context, s *term.IO, o runOptions, w *workspace.Workspace) error {
	if err := noneRuns(ctx, w); err != nil {
		return err
	}
	file, err := proc.LogFile(w, "")
	if err != nil {
		return err
	}
	if err := runlog.RemoveOlder(file); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the msctl program: %w", err)
	}
	p, err := child.StartDetached(ctx, o.detachedWords(self, file), w.Dir, file)
	if err != nil {
		return err
	}
	printer := runlog.New(s, w, supervisedServices(w, o.services), runlog.Options{JSON: o.log == command.JSON, NoWatch: o.noWatch, FailFast: true, Detached: true})
	ready, reason := false, "the run ended"
	err = runlog.Follow(ctx, file, p.Exited, nil, func(line string, e proc.Event, isEvent bool) bool {
		if text, is := strings.CutPrefix(line, "error: "); is {
			reason = text
		}
		if isEvent {
			printer.Print(e)
		}
		ready = e.Kind == proc.KindAllReady
		return !ready
	})
	if ctx.Err() != nil {
		stopQuietly(w)
	}
	if err == nil && !ready {
		err = exit.WithHint(errors.New(reason), "`msctl logs` shows the full log")
	}
	return err
}

// detachedWords returns the command line of the run in the background.
func (o *runOptions) detachedWords(self, file string) []string {
	words := []string{self, "run", "--fail-fast", "--log", command.JSON, "--log-file", file, "--ready-timeout", o.readyTimeout.String(), "--stop-timeout", o.stopTimeout.String()}
	if o.portOffset != 0 {
		words = append(words, "--port-offset", strconv.Itoa(o.portOffset))
	}
	for _, text := range o.debug {
		words = append(words, "--debug", text)
	}
	if o.noWatch {
		words = append(words, "--no-watch")
	}
	return append(append(words, "--"), o.services...)
}

// supervisedServices returns the services that run when these are named.
func supervisedServices(w *workspace.Workspace, names []string) []proc.Service {
	return proc.New(proc.Options{Workspace: w, Services: names}).Services()
}

// noneRuns returns an error if the workspace is already running.
func noneRuns(ctx context.Context, w *workspace.Workspace) error {
	runs, err := proc.Runs(ctx, w, "")
	if err != nil || len(runs) == 0 {
		return err
	}
	pid := runs[0].Pid
	if runs[0].Suspended {
		return exit.WithHint(fmt.Errorf("%s is already running, but suspended (process %d)", w.Name, pid), "`fg` in its terminal or `kill -CONT %d` resumes it", pid)
	}
	return exit.WithHint(fmt.Errorf("%s is already running (pid %d)", w.Name, pid), "`msctl ps` shows it, `msctl stop` stops it")
}

// stopQuietly stops the run in the background after this command was interrupted.
func stopQuietly(w *workspace.Workspace) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	runs, err := proc.Runs(ctx, w, "")
	if err != nil {
		return
	}
	for _, c := range runs {
		if c.Suspended {
			continue // it is not the one that was started
		}
		_ = c.Stop(ctx) // it was not ready yet, so nothing depends on it
	}
}
