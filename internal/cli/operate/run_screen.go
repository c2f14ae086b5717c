package operate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/usage"
	"github.com/msctl/msctl/internal/runlog"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/tui"
	"github.com/msctl/msctl/internal/tui/runscreen"
	"github.com/msctl/msctl/internal/workspace"
)

// checkScreen checks that a screen can be drawn.
func (o *runOptions) checkScreen(s *term.IO) error {
	switch {
	case o.detach:
		return exit.Usagef("--tui cannot be combined with --detach: the run has no terminal")
	case o.log != logText:
		return exit.Usagef("--tui cannot be combined with --log %s", o.log)
	case !s.CanDraw():
		return exit.WithHint(exit.Usagef("--tui requires a terminal for input and for standard error, and neither CI nor TERM=dumb"), "`msctl run` prints the logs as one stream")
	}
	return nil
}

// draw runs the services, and shows them on a screen. If that fails, the run ends.
func (r *runner) draw(ctx context.Context, stop func()) error {
	s := r.io
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := make(chan tap.Message, waiting)
	sampler, source := &usage.Sampler{}, &tapSource{} // messages are sent again to their receivers
	screen := runscreen.New(runscreen.Options{
		Title: r.work.Name, Run: &shownRun{r, stop}, Measure: sampler.Sample, Now: time.Now,
		Messages: tui.TapScreen{
			Messages: messages, Save: saveMessages, Ended: func() string { return "" }, Out: os.Stderr,
			Command: func(m tap.Message, to string) (string, error) { return tapCommand(source, m, to) },
			Resend: func(ctx context.Context, m tap.Message, to string) (string, error) {
				return resend(ctx, s, source, m, to)
			},
		},
		Send: func(ctx context.Context, arguments string) (string, error) { return sendTyped(ctx, s, arguments) },
		Docs: runlog.DocsURL, Open: openBrowser, Save: saveLines,
		In: os.Stdin, Out: os.Stderr, Color: s.ErrPalette().Enabled(),
	})
	drawn := make(chan error, 1)
	var draw sync.Once
	var feeds sync.WaitGroup
	err := r.run(ctx, func(supervisor *proc.Supervisor) func(proc.Event) {
		screen.SetServices(supervisor.Services())
		draw.Do(func() {
			go func() {
				err := screen.Draw(ctx)
				cancel() // if it has failed, the run cannot be controlled anymore
				drawn <- err
			}()
		})
		feeds.Go(func() { supervisor.Messages(ctx, into(ctx, messages)) })
		printer := runlog.New(s, r.work, supervisor.Services(), runlog.Options{NoWatch: r.o.noWatch, FailFast: r.o.failFast})
		return func(e proc.Event) { screen.Add(e, printer.Lines(e)) }
	})
	screen.Close()
	if r.current() == nil { // nothing was drawn
		return err
	}
	undrawn := <-drawn
	feeds.Wait()
	if err == nil {
		return undrawn
	}
	if undrawn != nil {
		exit.Report(s, undrawn)
	}
	return err
}

// shownRun is the current run for its screen.
type shownRun struct {
	*runner
	stop func()
}

// Status returns the status without credentials.
func (r *shownRun) Status() proc.Status {
	status := r.current().Status().Redacted()
	for i := range status.Services {
		one := &status.Services[i]
		one.Problem = r.io.Secrets().Mask(one.Problem)
	}
	return status
}

// Do does something with a service.
func (r *shownRun) Do(ctx context.Context, service string, a proc.Action) error {
	return r.current().Do(ctx, service, a)
}

// Stop ends the run; the second call kills it.
func (r *shownRun) Stop() { r.stop() }

// sendTimeout limits a command on the screen, such as one with --watch.
const sendTimeout = time.Minute

// sendTyped sends a message that was typed as the arguments of `msctl send`, or as the command.
func sendTyped(ctx context.Context, s *term.IO, line string) (string, error) {
	args, err := workspace.SplitWords(line)
	if err != nil {
		return "", err
	}
	if len(args) > 0 && args[0] == "msctl" {
		args = args[1:]
	}
	event := len(args) > 0 && args[0] == "emit"
	if event || len(args) > 0 && args[0] == "send" {
		args = args[1:]
	}
	if len(args) == 0 {
		return "", errors.New("write PATTERN [DATA…], as for `msctl send`")
	}
	s.Secrets().Learn(args...)
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return outputOf(ctx, s, event, args), nil
}

// saveLines writes lines to a new file.
func saveLines(name string, lines []string) error {
	file, err := createFile(name)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strings.Join(lines, "\n") + "\n")
	return errors.Join(err, file.Close())
}

// openBrowser opens an address in the browser of the user.
func openBrowser(ctx context.Context, url string) error {
	words := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		words = []string{"open"}
	case "windows":
		words = []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return fmt.Errorf("%s is not installed", words[0])
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	words = slices.Concat(words, []string{url})
	output, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	if text, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n"); err != nil && text != "" {
		return fmt.Errorf("%s: %s", words[0], text)
	}
	return err
}
