package nestinit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/workspace"
)

// Plan is a description of the NestJS applications of a folder.
type Plan struct {
	// Name is the name of the workspace.
	Name string
	// Services are the applications, in the order of their folders.
	Services []*Service
	// Brokers are the addresses of the brokers that the applications use.
	Brokers []Line
	// Skipped are folders with programs that are not NestJS.
	Skipped []string
	// Install is the command that installs the packages, if that is still to be done.
	Install string
	// Notes are what the user has to know or do, apart from the guesses.
	Notes []string
}

// Service is an entry of the file.
type Service struct {
	workspace.Service
	// About describes where the entry comes from.
	About string
	// Disabled is why the entry is commented out, or "".
	Disabled string
	// Comments are those of the keys.
	Comments map[string]Comment
	// Variables are the entries of `env`.
	Variables []Line
	// Notes are lines of comments below the entry.
	Notes []string

	app   *application
	facts *facts
	main  *endpoint // what the entry describes; nil for a gateway
	http  int       // the port of HTTP, or 0
}

// Comment is a comment of a line.
type Comment struct {
	Text string
	// Guess reports whether the value of the line is a guess.
	Guess bool
}

func (c Comment) String() string {
	if c.Guess {
		return "guess: " + c.Text
	}
	return c.Text
}

// Line is a key with a value and a comment. A disabled line is a comment itself.
type Line struct {
	Name, Value string
	Comment     Comment
	Disabled    bool
}

// Guess is a value that should be checked: of several keys of one service, or of one key of
// several services.
type Guess struct {
	Services      []string
	Keys          []string
	Value, Reason string
}

// ErrNone is returned for a folder without NestJS applications.
var ErrNone = errors.New("no NestJS application")

// Discover describes the applications in a folder and its subfolders. installed reports
// whether a program, such as pnpm, is installed.
func Discover(ctx context.Context, dir string, installed func(program string) bool) (*Plan, error) {
	project, err := nestsource.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	l := findLayout(project, installed)
	if len(l.apps) == 0 {
		return nil, fmt.Errorf("%w in %d TypeScript files of %s: no file that starts one calls NestFactory", ErrNone, len(project.Files), dir)
	}
	p := &planner{layout: l, taken: map[int]*Service{}, plan: &Plan{Name: l.workspaceName(), Skipped: l.skipped}}
	for _, a := range l.apps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if facts := l.readFacts(a); facts != nil {
			p.add(a, facts)
		}
	}
	p.assignPorts()
	p.disableInvalid()
	p.findBrokers()
	for _, s := range p.plan.Services {
		p.connect(s)
	}
	p.callsByPattern()
	for _, s := range p.plan.Services {
		p.addVariables(s)
		slices.Sort(s.DependsOn)
	}
	p.plan.Install = l.install()
	p.noteUnused()
	p.noteMentions(p.containers, "the host %[1]s in the sources is only known in containers (%[2]s): add `127.0.0.1 %[1]s` to the hosts file, or read it from a variable")
	p.noteMentions(p.missing, "%s, and is read by %s")
	return p.plan, nil
}

// noteUnused reports the brokers that `msctl run` does not start, because no service has
// them as its transport.
func (p *planner) noteUnused() {
	for _, line := range p.plan.Brokers {
		t := workspace.Transport(line.Name)
		used := slices.ContainsFunc(p.plan.Services, func(s *Service) bool { return s.Disabled == "" && s.Transport == t && s.main != nil })
		if !used {
			p.notef("`msctl run` does not start %s, because no service has it as its transport: start it before", t.Title())
		}
	}
}

func (l *layout) workspaceName() string {
	name := filepath.Base(l.root)
	if m := l.manifest("."); m != nil && m.Name != "" {
		name = path.Base(m.Name)
		if name == "source" || name == "root" { // @scope/source is the root of a workspace of Nx
			name = strings.TrimPrefix(path.Dir(m.Name), "@")
		}
	}
	return cmp.Or(workspace.SimilarName(name), workspace.SimilarName(strings.TrimLeft(name, "0123456789-_. ")), "workspace")
}

// Guesses returns the guesses of the plan, in the order of the file. The same guess for
// several services is one.
func (p *Plan) Guesses() (out []Guess) {
	add := func(service, key, value string, c Comment) {
		i := slices.IndexFunc(out, func(g Guess) bool { return g.Value == value && g.Reason == c.Text })
		switch {
		case !c.Guess:
		case i >= 0 && slices.Equal(out[i].Keys, []string{key}):
			out[i].Services = append(out[i].Services, service)
		case i >= 0 && slices.Equal(out[i].Services, []string{service}):
			out[i].Keys = append(out[i].Keys, key)
		default:
			out = append(out, Guess{[]string{service}, []string{key}, value, c.Text})
		}
	}
	for _, line := range p.Brokers {
		add("brokers", line.Name, line.Value, line.Comment)
	}
	for _, s := range p.Services {
		if s.Disabled != "" {
			continue
		}
		for _, key := range keys {
			add(s.Name, key, s.text(key), s.Comments[key])
		}
		for _, line := range s.Variables {
			if !line.Disabled {
				add(s.Name, "env "+line.Name, line.Value, line.Comment)
			}
		}
	}
	return out
}

// planner makes a plan.
type planner struct {
	*layout
	plan  *Plan
	taken map[int]*Service
	// missing are the variables without a value, and containers the hosts in the sources that
	// are names of containers.
	missing, containers []mention
}

func (p *planner) notef(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(p.plan.Notes, text) {
		p.plan.Notes = append(p.plan.Notes, text)
	}
}

// guess marks the value of a key as a guess, with its reason.
func (s *Service) guess(key, format string, args ...any) {
	s.Comments[key] = Comment{fmt.Sprintf(format, args...), true}
}

// preferred are the transports of an application with several, the preferred one first: a
// service can be asked whether it is ready over TCP and RabbitMQ.
var preferred = []workspace.Transport{workspace.TCP, workspace.RabbitMQ, workspace.NATS, workspace.Redis}

// add adds an application.
func (p *planner) add(a *application, f *facts) {
	s := &Service{Service: workspace.Service{Name: a.name, Kind: workspace.KindService, Command: a.start.command, Watch: a.start.watch}, Comments: map[string]Comment{}, app: a, facts: f}
	if a.start.dir != "." {
		s.Dir = "./" + a.start.dir
	}
	if a.start.guess != "" {
		s.guess("command", "%s", a.start.guess)
	}
	if a.start.note != "" {
		s.guess("command", "%s", a.start.note)
	}
	for _, t := range preferred {
		for i := range f.servers {
			if s.main == nil && f.servers[i].transport == t {
				s.main = &f.servers[i]
			}
		}
	}
	p.describe(s)
	for _, other := range f.others {
		p.notef("%s starts another application, which has no entry: msctl.yaml describes %s", other, a.main)
	}
	p.plan.Services = append(p.plan.Services, s)
}

// describe sets the kind and the transport.
func (p *planner) describe(s *Service) {
	f := s.facts
	var parts []string
	for i := range f.servers {
		e := &f.servers[i]
		parts = append(parts, cmp.Or(e.name, "?"))
		alone := s.main == nil && f.http == nil // it is commented out with a reason
		switch {
		case alone:
		case e.name == "":
			p.notef("%s: what %s listens on is not known: %s", e.unknown.at, s.Name, noValue(e.unknown))
		case e.transport == "":
			p.notef("%s uses %s (%s), which msctl cannot send to", s.Name, e.name, e.at)
		case s.main != nil && e != s.main:
			s.Notes = append(s.Notes, fmt.Sprintf("%s: it also listens on %s; messages are sent over %s", e.at, e.transport.Title(), s.main.transport.Title()))
		}
	}
	if f.http != nil {
		parts = append(parts, "HTTP")
	}
	s.About = s.app.main
	if len(parts) > 0 {
		s.About += ": " + strings.Join(parts, ", ")
	}
	switch {
	case s.main != nil:
		s.Transport = s.main.transport
		p.transportGuess(s)
	case f.http != nil:
		s.Kind = workspace.KindGateway
	case len(f.servers) > 0 && f.servers[0].name == "":
		s.Disabled = fmt.Sprintf("what it listens on is not known (%s)", f.servers[0].unknown.at)
	case len(f.servers) > 0:
		s.Disabled = fmt.Sprintf("it listens on %s (%s), which msctl cannot send to", f.servers[0].name, f.servers[0].at)
	case f.context.file != "":
		s.Disabled = fmt.Sprintf("it listens neither on a transport nor on HTTP (%s)", f.context)
	default:
		s.Disabled = "what it listens on is not known"
	}
	if s.Disabled == "" {
		s.Disabled = s.app.start.unknown
	}
	if s.Disabled != "" {
		p.notef("%s is commented out: %s", s.Name, s.Disabled)
	}
}

func (p *planner) transportGuess(s *Service) {
	f := s.main.transportFact
	inFiles := len(f.vars) > 0 && !slices.ContainsFunc(f.vars, func(name string) bool {
		v, ok := s.facts.env[name]
		return !ok || v.value == "" || v.example
	})
	if !inFiles && (f.unknown != "" || len(f.vars) > 0) {
		s.guess("transport", "%s determines it (%s)", f.expr, f.at)
	}
}

// disableInvalid comments out entries that msctl.yaml does not allow, such as a queue whose
// name has a space, so that the file is valid.
func (p *planner) disableInvalid() {
	for _, s := range p.plan.Services {
		if s.Disabled != "" {
			continue
		}
		alone := Plan{Name: "x", Services: []*Service{s}}
		var invalid *workspace.Error
		if _, err := workspace.Parse(workspace.FileName, alone.YAML()); errors.As(err, &invalid) {
			s.Disabled = invalid.Message
			p.notef("%s is commented out: %s (%s)", s.Name, s.Disabled, s.app.main)
		}
	}
}

// secretValue reports whether a value must not be written to a file that is shared.
func secretValue(name, value string) bool {
	return secret.Named(name) || secret.URL(value) != value || secret.IsSeed(value)
}
