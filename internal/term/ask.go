package term

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/AlecAivazis/survey/v2"
	"github.com/AlecAivazis/survey/v2/core"
	"github.com/AlecAivazis/survey/v2/terminal"
	xterm "golang.org/x/term"
)

// ErrInterrupt is returned when the user presses Ctrl-C at a prompt. The program should
// end with exit code 130.
var ErrInterrupt = errors.New("interrupted")

// NoTerminalError is returned by a prompt without a terminal. It is a usage error (exit
// code 2).
type NoTerminalError struct {
	// Question is the text of the prompt.
	Question string
	// Flag makes the prompt unnecessary, such as "--transport tcp".
	Flag string
}

// Error returns the prompt and its flag.
func (e *NoTerminalError) Error() string {
	return fmt.Sprintf("cannot prompt for %q without a terminal: use %s", e.Question, e.Flag)
}

// Question is a prompt.
type Question struct {
	// Text is the prompt itself, such as "Transport?".
	Text string
	// Help is printed when the user types "?"; "" for none.
	Help string
	// Flag makes the prompt unnecessary, such as "--transport tcp".
	Flag string
}

// Choice is one of several answers.
type Choice struct {
	// Value is displayed and returned.
	Value string
	// Description follows the value, dimmed; "" for none.
	Description string
}

// Input prompts for a line of text. preset is the answer if the user only presses Enter.
// The prompt repeats until check returns nil; a nil check accepts everything. The error
// is a *NoTerminalError without a terminal, or ErrInterrupt on Ctrl-C or when ctx ends.
func (s *IO) Input(ctx context.Context, q Question, preset string, check func(string) error) (string, error) {
	var answer string
	prompt := &survey.Input{Message: q.Text, Help: q.Help, Default: preset}
	err := s.ask(ctx, q, prompt, &answer, func(value any) error {
		text, isText := value.(string)
		if check == nil || !isText {
			return nil
		}
		return check(text)
	})
	if err != nil {
		return "", err
	}
	return answer, nil
}

// Select prompts for one of the choices. The cursor starts on preset, or on the first
// choice if preset is not among them. The errors are those of [IO.Input].
func (s *IO) Select(ctx context.Context, q Question, choices []Choice, preset string) (string, error) {
	prompt := &survey.Select{Message: q.Text, Help: q.Help, Options: values(choices), Description: describe(choices)}
	for _, c := range choices {
		if c.Value == preset {
			prompt.Default = preset
		}
	}
	var answer string
	if err := s.ask(ctx, q, prompt, &answer, nil); err != nil {
		return "", err
	}
	return answer, nil
}

// MultiSelect prompts for any number of the choices. Those in preset are selected at
// first. check gets the selected values. The errors are those of [IO.Input].
func (s *IO) MultiSelect(ctx context.Context, q Question, choices []Choice, preset []string, check func([]string) error) ([]string, error) {
	prompt := &survey.MultiSelect{Message: q.Text, Help: q.Help, Options: values(choices), Description: describe(choices)}
	if len(preset) > 0 {
		prompt.Default = preset
	}
	answer := []string{}
	err := s.ask(ctx, q, prompt, &answer, func(value any) error {
		marked, isMarked := value.([]core.OptionAnswer)
		if check == nil || !isMarked {
			return nil
		}
		texts := make([]string, len(marked))
		for i, m := range marked {
			texts[i] = m.Value
		}
		return check(texts)
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// Confirm prompts for yes or no. preset is the answer if the user only presses Enter. The
// errors are those of [IO.Input].
func (s *IO) Confirm(ctx context.Context, q Question, preset bool) (bool, error) {
	var answer bool
	if err := s.ask(ctx, q, &survey.Confirm{Message: q.Text, Help: q.Help, Default: preset}, &answer, nil); err != nil {
		return false, err
	}
	return answer, nil
}

// CanAsk reports whether prompts work: In and one of the outputs are terminals, and no
// build server runs the program.
func (s *IO) CanAsk() bool {
	f := s.facts
	return f.StdinTTY && (f.StderrTTY || f.StdoutTTY) && !f.CI && f.Term != "dumb" && s.inFile != nil
}

// ask runs a survey prompt in its own goroutine, because Ctrl-C arrives in two ways: as a
// key while the terminal is raw, and as SIGINT, which cancels ctx, just before that. In
// the second case, the goroutine stays blocked in a read of the terminal until the
// process ends, which is about to happen.
func (s *IO) ask(ctx context.Context, q Question, prompt survey.Prompt, answer any, check survey.Validator) error {
	if !s.CanAsk() {
		return &NoTerminalError{Question: q.Text, Flag: q.Flag}
	}
	if ctx.Err() != nil {
		return ErrInterrupt
	}
	screen := s.errFile
	if !s.facts.StderrTTY {
		screen = s.outFile
	}
	core.DisableColor = !s.colored(true)
	options := []survey.AskOpt{survey.WithStdio(s.inFile, screen, s.errFile)}
	if check != nil {
		options = append(options, survey.WithValidator(check))
	}
	return waitAnswer(ctx, s.inFile, func() error { return survey.AskOne(prompt, answer, options...) })
}

func waitAnswer(ctx context.Context, in *os.File, ask func() error) error {
	saved, stateErr := xterm.GetState(int(in.Fd()))
	done := make(chan error, 1)
	go func() { done <- ask() }()
	select {
	case err := <-done:
		if errors.Is(err, terminal.InterruptErr) {
			return ErrInterrupt
		}
		if err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		return nil
	case <-ctx.Done():
		if stateErr == nil {
			_ = xterm.Restore(int(in.Fd()), saved)
		}
		return ErrInterrupt
	}
}

func values(choices []Choice) []string {
	out := make([]string, len(choices))
	for i, c := range choices {
		out[i] = c.Value
	}
	return out
}

func describe(choices []Choice) func(value string, index int) string {
	return func(_ string, index int) string { return choices[index].Description }
}
