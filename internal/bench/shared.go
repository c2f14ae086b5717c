package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/policy"
)

// Shared is what another process needs to run a part of a Spec. It is independent of
// flags and contains no credentials: a process looks up references to variables and @FILE
// by itself. The files of --data-file and --from travel separately.
type Shared struct {
	// Settings are the settings that were set: names and values, as entered.
	Settings [][2]string
	// Messages are the messages; nil with --from.
	Messages []SharedMessage
	// Suggested replaces the settings of the policy, to try a suggestion.
	Suggested *policy.Settings `json:",omitempty"`
	// Files are the names of the files that the messages' data comes from. "-" is standard
	// input.
	Files []string
}

// SharedMessage is a Message as entered. To is always an address.
type SharedMessage struct {
	Name                            string
	Weight                          int
	Pattern                         string
	Data, Meta, Headers             []string
	To, DataFile, DataOrder, Method string
	File                            string `json:",omitempty"` // the scenario, for errors
}

// notShared are the settings that only the process of the command uses, and those of its
// message, which is among the Messages.
func notShared() []string {
	return []string{
		"to", "from", "service", "data-file", "data-order", "meta", "method", "header", "print-policy", "threshold", "abort-on", "metrics",
		"repeat", "sweep", "collapse", "demo", "save", "html", "markdown", "csv", "junit", "vegeta", "baseline", "no-tui",
	}
}

// Share returns what other processes need to run the Spec, which has been checked and whose
// targets have been found, and the content of its files. The error is a usage error: the
// Spec contains a credential, or a file cannot be read.
func (s *Spec) Share() (*Shared, map[string][]byte, error) {
	out := &Shared{Suggested: s.Policy.suggested}
	for _, name := range Settings() {
		if slices.Contains(notShared(), name) {
			continue
		}
		for _, v := range s.given[name] {
			out.Settings = append(out.Settings, [2]string{name, v.text})
		}
	}
	if s.Recording.File != "" {
		out.Settings = append(out.Settings, [2]string{"from", s.Recording.File}, [2]string{"to", s.Messages[0].address(s)})
		if of := s.Recording.selected; of != "" {
			out.Settings = append(out.Settings, [2]string{"service", of})
		}
		for _, text := range s.content.Meta {
			out.Settings = append(out.Settings, [2]string{"meta", text})
		}
		out.Files = []string{s.Recording.File}
	} else {
		for _, m := range s.Messages {
			out.add(m, s)
		}
	}
	if err := out.secrets(); err != nil {
		return nil, nil, err
	}
	files, err := s.contents(out.Files)
	return out, files, err
}

// add adds a message.
func (out *Shared) add(m *Message, s *Spec) {
	out.Messages = append(out.Messages, SharedMessage{
		Name: m.Name, Weight: m.Weight, Pattern: m.Pattern, Data: m.Data, Meta: m.Meta, Headers: m.Headers,
		To: m.address(s), DataFile: m.DataFile, DataOrder: m.DataOrder, Method: m.Method, File: m.file,
	})
	for _, name := range []string{m.DataFile, m.stdin()} {
		if name != "" && !slices.Contains(out.Files, name) {
			out.Files = append(out.Files, name)
		}
	}
}

// stdin returns "-" if the message reads its data from standard input.
func (m *Message) stdin() string {
	if m.readsStdin() {
		return "-"
	}
	return ""
}

// address returns the target of a message as an address that does not depend on a
// workspace.
func (m *Message) address(s *Spec) string {
	to := cmp.Or(m.To, s.Target.To)
	switch {
	case strings.Contains(to, "://"):
		return to
	case target.IsGateway(to):
		_, path, _ := strings.Cut(to, "/")
		return origin(m.target.Addresses[0]) + "/" + path
	}
	return m.target.String()
}

// secrets returns an error if a credential would be part of a message to another process.
func (out *Shared) secrets() error {
	reject := func(what, text string) error {
		if secret.Argument(text) == text {
			return nil
		}
		err := exit.Usagef("%s contains a credential, which --agents does not send: %s", what, secret.Argument(text))
		return exit.WithHint(err, "refer to a variable of the agents' environment, such as '$NAME', or set %s there", target.PasswordVariable)
	}
	for _, one := range out.Settings {
		if err := reject("--"+one[0], one[1]); err != nil {
			return err
		}
	}
	for i := range out.Messages {
		m := &out.Messages[i]
		for what, texts := range map[string][]string{"--to": {m.To}, "the data": m.Data, "--meta": m.Meta, "--header": m.Headers, "the pattern": {m.Pattern}} {
			for _, text := range texts {
				if err := reject(what, text); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// contents reads files, and rejects those with credentials.
func (s *Spec) contents(names []string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range names {
		content := s.stdin
		if name != "-" {
			var err error
			if content, err = os.ReadFile(name); err != nil {
				return nil, exit.Usagef("read the data for the agents: %w", err)
			}
		}
		number := 0
		for line := range bytes.Lines(content) {
			number++
			if line = bytes.TrimSpace(line); json.Valid(line) && !bytes.Equal(secret.JSON(line), line) {
				err := exit.Usagef("%s, line %d contains a credential, which --agents does not send", name, number)
				return nil, exit.WithHint(err, "remove it from the file, and refer to a variable of the agents' environment in DATA: password='$NAME'")
			}
		}
		files[name] = content
	}
	return files, nil
}

// Spec returns the Spec of another process. files are the content of the Files. The Spec is
// ready to be prepared.
func (out *Shared) Spec(tool string, files map[string][]byte, secrets *secret.Set) (*Spec, error) {
	s := NewSpec()
	s.Tool, s.files, s.Secrets, s.Target.Gateways = tool, files, secrets, false
	for _, one := range out.Settings {
		if err := s.Set(one[0], one[1]); err != nil {
			return nil, fmt.Errorf("--%s: %w", one[0], err)
		}
	}
	s.Policy.suggested = out.Suggested
	for _, m := range out.Messages {
		s.Messages = append(s.Messages, &Message{
			Name: m.Name, Weight: m.Weight, Pattern: m.Pattern, Data: m.Data, Meta: m.Meta, Headers: m.Headers,
			To: m.To, DataFile: m.DataFile, DataOrder: m.DataOrder, Method: m.Method,
		})
	}
	if s.Recording.File != "" {
		if err := s.SetMessage(nil); err != nil {
			return nil, err
		}
	}
	if len(s.Messages) == 0 {
		return nil, exit.Usagef("the plan has no messages")
	}
	return s, s.Check(bytes.NewReader(files["-"]))
}

// open opens a file that data comes from: one that another process has sent, or one on disk.
func open(files map[string][]byte, name string) (io.ReadCloser, error) {
	if files == nil {
		return os.Open(name)
	}
	content, ok := files[name]
	if !ok {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// Part is a part of a run that this process makes.
type Part struct{ rig *rig }

// PreparePart finds the targets of a Spec, which has been checked, and connects to them.
// Before that, allowed is asked about each target, and control about each connection. Call Close at the end.
func PreparePart(ctx context.Context, s *Spec, part load.Part, guard Guard) (*Part, error) {
	s.guard = guard
	s.divide(part)
	if err := s.resolve(ctx); err != nil {
		return nil, err
	}
	r, err := newRig(ctx, s, nil)
	if err != nil {
		return nil, err
	}
	r.plan.Part = part
	return &Part{r}, nil
}

// Start starts the part. Its plan may be changed by prepare.
func (p *Part) Start(ctx context.Context, prepare func(*load.Plan)) (*Run, error) {
	prepare(&p.rig.plan)
	run, err := load.Start(ctx, p.rig.plan)
	if err != nil {
		return nil, err
	}
	return &Run{run, p.rig, run}, nil
}

// Close closes the connections. Nothing may be in flight.
func (p *Part) Close() { p.rig.close() }

// Faults returns how often each fault was injected.
func (p *Part) Faults() [][3]int64 {
	var list [][3]int64
	for _, f := range p.rig.faultCounts() {
		list = append(list, [3]int64{f.Messages, f.Hit, f.Swallowed})
	}
	return list
}

// noMessage is the pattern of a fault of which nothing is left for a part.
const noMessage = "\x00"

// divide divides what limits a run by all of its processes: the limits of faults. Those of
// the plan are divided when it starts.
func (s *Spec) divide(part load.Part) {
	s.part = part
	if part.Of < 2 {
		return
	}
	s.Faults = slices.Clone(s.Faults)
	for i := range s.Faults {
		f := &s.Faults[i]
		if f.BytesPerSecond > 0 {
			f.BytesPerSecond = max(int64(part.Share(int(f.BytesPerSecond))), 1)
		}
		if f.First == 0 {
			continue
		}
		if f.First = part.Share(f.First); f.First == 0 {
			f.First, f.Pattern = 1, noMessage
		}
	}
}

// Divided returns a policy whose budget is that of one of several processes.
func Divided(p *policy.Policy, part load.Part) *policy.Policy {
	budget := p.Settings().Budget
	if part.Of < 2 || budget.Floor == 0 {
		return p
	}
	return p.With(policy.WithBudget(budget.Ratio, budget.Floor/float64(part.Of)))
}
