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

// ErrInterrupt says that the person pressed Ctrl-C at a question. The program
// is expected to end with exit code 130.
var ErrInterrupt = errors.New("interrupted")

// NoTerminalError says that a question could not be asked because nobody is
// there to answer it. It is a usage error (exit code 2).
type NoTerminalError struct {
	// Question is the text that would have been asked.
	Question string
	// Flag is what to type instead, such as "--transport tcp".
	Flag string
}

// Error names the question and the flag that answers it.
func (e *NoTerminalError) Error() string {
	return fmt.Sprintf("no terminal to ask %q: answer it with %s", e.Question, e.Flag)
}

// Question is what is asked, and what a script types instead.
type Question struct {
	// Text is the question as the person reads it, such as "Transport?".
	Text string
	// Help is shown on "?"; empty for none.
	Help string
	// Flag answers the question without a terminal, such as "--transport tcp".
	Flag string
}

// Choice is one answer of several.
type Choice struct {
	// Value is what is shown and returned.
	Value string
	// Description stands behind it, dimmed; empty for none.
	Description string
}

// Input asks for a line of text. preset is the answer to a bare Enter. check
// says what is wrong with an answer, which is then asked for again; nil accepts
// everything. The answer has passed check. Errors: *NoTerminalError without a
// terminal, ErrInterrupt on Ctrl-C or when ctx ends.
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

// Select asks for one of the choices, with the cursor on preset (or on the
// first when preset is none of them). Errors as [IO.Input].
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

// MultiSelect asks for any number of the choices; those in preset are marked
// at the start. check sees the marked values. Errors as [IO.Input].
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

// Confirm asks for yes or no; preset is the answer to a bare Enter. Errors as
// [IO.Input].
func (s *IO) Confirm(ctx context.Context, q Question, preset bool) (bool, error) {
	var answer bool
	if err := s.ask(ctx, q, &survey.Confirm{Message: q.Text, Help: q.Help, Default: preset}, &answer, nil); err != nil {
		return false, err
	}
	return answer, nil
}

// CanAsk reports whether a person is there to answer: standard input and one of
// the outputs are terminals that can be drawn on, and no build server runs us.
func (s *IO) CanAsk() bool {
	f := s.facts
	return f.StdinTTY && (f.StderrTTY || f.StdoutTTY) && !f.CI && f.Term != "dumb" && s.inFile != nil
}

// ask runs a survey prompt in its own goroutine, because Ctrl-C reaches us in
// two ways: as a key while the terminal is raw, and as SIGINT (which ends ctx)
// in the moments before. In the second case the goroutine stays blocked in a
// read of the terminal until the process ends, which it is about to; what it
// would answer is not read.
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
