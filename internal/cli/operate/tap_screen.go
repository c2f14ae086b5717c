package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/message"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/replay"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/tui"
	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// draws reports whether the messages are shown on a screen, rather than on lines.
func (o *tapOptions) draws(s *term.IO) bool {
	return o.output == "" && !o.noTUI && s.Facts().StdoutTTY && s.CanDraw()
}

// waiting is how many messages may wait for the next frame. Then the run counts what it omits.
const waiting = 1 << 14

// draw shows the messages on a screen, until a key ends it. It returns the trees.
func (v *tapView) draw(ctx context.Context) (*tap.Trees, error) {
	ctx, cancel := context.WithCancel(ctx)
	messages := make(chan tap.Message, waiting)
	var ended, recorded error
	done, pass := make(chan struct{}), into(ctx, messages)
	go func() {
		defer close(done)
		defer close(messages)
		ended = v.source.messages(ctx, func(m tap.Message) bool {
			if recorded = v.keep(m); recorded != nil {
				return false
			}
			return pass(m)
		})
	}()
	trees, err := tui.Tap(ctx, tui.TapScreen{
		Title: v.source.title, Filter: v.o.filter, Messages: messages, Notes: v.source.notes, Save: saveMessages,
		Command: func(m tap.Message, to string) (string, error) { return tapCommand(v.source, m, to) },
		Ended: func() string {
			if err := errors.Join(recorded, ended); err != nil {
				return exit.Text(v.io.Secrets(), err)
			}
			return ""
		},
		Resend: func(ctx context.Context, m tap.Message, to string) (string, error) {
			return resend(ctx, v.io, v.source, m, to)
		},
		In: os.Stdin, Out: os.Stderr, Color: v.io.ErrPalette().Enabled(),
	})
	cancel()
	<-done
	return trees, errors.Join(err, recorded)
}

// keep passes on a message to the collector of --otlp and to the file of --record, if there are any.
func (v *tapView) keep(m tap.Message) error {
	v.exporter.Add(m)
	if v.file == nil {
		return nil
	}
	if err := v.file.Encode(m); err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	return nil
}

// saveMessages writes messages to a new file, in the format of --record.
func saveMessages(name string, messages []tap.Message) (err error) {
	file, err := createFile(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return writeMessages(file, messages)
}

// createFile creates a file that did not exist, for the user alone.
func createFile(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s exists already: choose another name", name)
	}
	return file, err
}

func writeMessages(to io.Writer, messages []tap.Message) error {
	out := json.NewEncoder(to)
	for i := range messages {
		if err := out.Encode(&messages[i]); err != nil {
			return err
		}
	}
	return nil
}

// again is the message of a record, as arguments of `msctl send` or `msctl emit`.
type again struct {
	event   bool
	pattern json.RawMessage
	data    json.RawMessage // nil if the message had none
	to      string          // a service or an address; "" if it is not known
	flags   []string        // for to
	meta    []string        // KEY=VALUE
	missing []string        // keys of metadata that are masked
}

// againOf returns how to send a message again to a service. Its error states why that is impossible.
func againOf(m tap.Message, to string) (a again, err error) {
	switch {
	case m.Kind == reported.HTTP:
		return a, errors.New("this is an HTTP request: select one of the messages below it")
	case !m.HasData():
		return a, errors.New("the data was not recorded completely")
	}
	if _, err := micro.ParsePattern(m.Pattern); err != nil {
		return a, fmt.Errorf("the pattern %s cannot be sent", visible.Line(m.Pattern))
	}
	a = again{event: m.Event || m.Kind == reported.Emit, pattern: json.RawMessage(m.Pattern), data: m.Data, to: to}
	if a.to == "" && m.Kind != reported.Handle && m.Transport == "tcp" && m.Peer != "" {
		a.to = "tcp://" + m.Peer
	}
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		value := m.Metadata[key]
		switch {
		case replay.IsOwnMetadata(key) || strings.ContainsRune(key, '='):
		case strings.Contains(value, "***"):
			a.missing = append(a.missing, key)
		case !strings.HasPrefix(value, `\@`): // which cannot be written
			a.meta = append(a.meta, key+"="+literal(value))
		}
	}
	return a, nil
}

// variable matches what a value of --meta, or a string of DATA, refers to the environment by.
var variable = regexp.MustCompile(`\$(\{?[A-Z_])`)

// literal returns a value so that nothing in it is looked up.
func literal(value string) string {
	if strings.HasPrefix(value, "@") {
		value = `\` + value
	}
	return variable.ReplaceAllString(value, `\$$$1`)
}

// args returns the arguments. Nothing in the data, which is a service's, is looked up in the environment.
func (a again) args() (args []string) {
	if a.to != "" {
		args = append(append(args, "--to", a.to), a.flags...)
	}
	for _, pair := range a.meta {
		args = append(args, "--meta", pair)
	}
	args = append(args, "--", shorthand.ShortPattern(a.pattern))
	if len(a.data) > 0 {
		args = append(args, variable.ReplaceAllString(string(visible.JSON(a.data)), `\u0024$1`))
	}
	return args
}

// sendAgain returns how to send a message again that its receiver has handled.
func (t *tapSource) sendAgain(m tap.Message, to string) (again, error) {
	to, flags, err := t.receiver(m, to)
	if err != nil {
		return again{}, err
	}
	a, err := againOf(m, to)
	a.flags = flags
	return a, err
}

// tapCommand returns the command that sends a message again, for a shell.
func tapCommand(source *tapSource, m tap.Message, to string) (string, error) {
	a, err := source.sendAgain(m, to)
	if err != nil {
		return "", err
	}
	words := []string{"msctl", "send"}
	if a.event {
		words[1] = "emit"
	}
	for _, arg := range a.args() {
		if arg == "--" && !strings.HasPrefix(string(a.data), "-") {
			continue // only a negative number looks like a flag
		}
		words = append(words, shorthand.Word(arg))
	}
	return strings.Join(words, " "), nil
}

// resend sends a message again, as `msctl send` does, and returns what that prints.
func resend(ctx context.Context, s *term.IO, source *tapSource, m tap.Message, to string) (string, error) {
	a, err := source.sendAgain(m, to)
	switch {
	case err != nil:
		return "", err
	case bytes.Contains(m.Data, []byte("***")):
		return "", errors.New("the data has masked secrets: press c, and replace the *** in the command")
	}
	text := outputOf(ctx, s, a.event, a.args())
	if len(a.missing) > 0 {
		text += fmt.Sprintf("\nIt was sent without the metadata %s: the value is masked.\n", visible.Line(strings.Join(a.missing, ", ")))
	}
	return text, nil
}

// maxOutput limits the output of a command on a screen, in bytes.
const maxOutput = 1 << 20

// capped keeps the first maxOutput bytes that are written, and then calls full.
type capped struct {
	bytes.Buffer
	full func()
}

// Write never fails.
func (c *capped) Write(p []byte) (int, error) {
	if c.Len()+len(p) > maxOutput {
		c.full()
		return len(p), nil
	}
	return c.Buffer.Write(p)
}

// outputOf runs `msctl send` or, for an event, `msctl emit`, and returns what it prints.
func outputOf(ctx context.Context, s *term.IO, event bool, args []string) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cut := false
	full := func() {
		cut = true
		cancel()
	}
	out, notes := capped{full: full}, capped{full: full}
	apart := s.Apart(&out, &notes)
	var cmd *cobra.Command
	if event {
		cmd = message.NewEmitCommand(apart)
	} else {
		cmd = message.NewSendCommand(apart)
		args = append([]string{"--output", "pretty"}, args...)
	}
	cmd.SetArgs(args)
	cmd.SetOut(&notes)
	cmd.SetErr(&notes)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(ctx)
	switch {
	case cut:
		fmt.Fprintf(&notes.Buffer, "\nThe output is longer than %d KiB: the rest is not shown.\n", maxOutput>>10)
	default:
		exit.Report(apart, err)
	}
	if event && err == nil && out.Len()+notes.Len() == 0 {
		fmt.Fprintln(&out, "The event was sent.")
	}
	return out.String() + notes.String()
}
