package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// lsOptions are the flags and arguments of `msctl ls`.
type lsOptions struct {
	to      string
	target  target.Flags
	source  string
	output  string
	verbose bool
	timeout time.Duration

	asyncAPI bool
	openAPI  string   // a URL or a file
	headers  []string // of the request for it
}

// NewLsCommand returns `msctl ls`.
func NewLsCommand(s *term.IO) *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:   "ls [TARGET]",
		Short: "List the handlers of running services",
		Long: `List the handlers of a running service: the pattern, the kind, the number of calls and
errors, the latency since the start of the service, and the types of the data and the
reply. Without a TARGET, list all services of the workspace or, outside of a workspace,
tcp://localhost:3002.

Only services built on msctl's runtime can list their handlers. The address of Redis or
NATS lists the services that share it.

For a NestJS service, the handlers are read from its TypeScript sources: those of the
workspace, or those in --source. -v prints the fields of the data and their rules. This
evaluates constants across files:
imports, enums, path aliases, packages of the workspace, functions that return decorators.
A pattern that depends on the environment, or on anything else that the sources do not
determine, is listed as "computed: EXPRESSION (FILE:LINE)", and the exit code is 1. Tests
(*.spec.ts), declarations, links, node_modules, and dist are skipped, and the last line
names them; --source with such a file or folder reads it.

Patterns are printed in a form that can be pasted into ` + "`msctl send`" + `.

--asyncapi prints an AsyncAPI 3.0 document instead, of a service, of all services of the
workspace, or of --source: channels, operations, and messages with their types, in YAML
or, with -o json, in JSON. x-nest-pattern is the pattern of a channel. The document
describes what services receive: they do not declare what they send.

--openapi lists the HTTP routes of an OpenAPI 3 document, in JSON or YAML, of msctl's
gateways, NestJS, and others: who may use them, their input, and the response. A URL
without a path is the address of a gateway. A login in the URL is for basic
authentication. Redirects to other hosts are not followed.

` + target.AddressSyntax,
		Example: `  msctl ls
  msctl ls items -v
  msctl ls tcp://localhost:3002 -o json
  msctl ls nats://localhost
  msctl ls --source ../shop/src
  msctl ls --asyncapi > asyncapi.yaml
  msctl ls --openapi http://localhost:3001
  msctl ls --openapi https://shop.example/api-json -H 'Authorization: Bearer $TOKEN'`,
		GroupID:           command.GroupTalk,
		Args:              command.ArgCount(0, 1),
		ValidArgsFunction: command.CompleteTarget,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			if o.to != "" && o.to != args[0] {
				return exit.Usagef("conflicting targets: %q and --to %q", target.WithoutLogin(args[0]), target.WithoutLogin(o.to))
			}
			o.to = args[0]
		}
		if err := o.check(); err != nil {
			return err
		}
		switch {
		case o.openAPI != "":
			return runLsOpenAPI(cmd.Context(), s, o)
		case o.source != "":
			return runLsSource(cmd.Context(), s, o)
		}
		return runLs(cmd.Context(), s, o)
	}
	f := cmd.Flags()
	f.StringVarP(&o.to, "to", "t", "", "`TARGET` to ask; same as the argument")
	command.CompleteTo(cmd)
	f.StringVarP(&o.output, "output", "o", "", "output `FORMAT`: json, or yaml with --asyncapi")
	f.BoolVar(&o.asyncAPI, "asyncapi", false, "print an AsyncAPI document")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print the types in full")
	f.StringVar(&o.source, "source", "", "read the patterns from the NestJS sources in `DIR`, or from one file")
	f.StringVar(&o.openAPI, "openapi", "", "list the HTTP routes of the OpenAPI document at `URL`, or in a file")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "with --openapi: add the header `NAME: VALUE` to the request; '$NAME' and @FILE in VALUE are looked up (repeatable)")
	command.PositiveFlag(f, &o.timeout, "timeout", micro.DefaultTimeout, "wait up to `DURATION` for a service")
	command.RegisterTLS(cmd, &o.target, "Connection")
	command.GroupFlags(cmd, "Connection", "timeout", "header")
	return cmd
}

func (o *lsOptions) check() error {
	switch {
	case o.output == "yaml" && o.asyncAPI:
	case o.output == "yaml":
		return exit.Usagef("-o yaml requires --asyncapi")
	case o.output != "" && o.output != "json" && o.asyncAPI:
		return exit.Usagef("unknown output %q: use json or yaml", o.output)
	case o.output != "" && o.output != "json":
		return exit.Usagef("unknown output %q: use json", o.output)
	}
	switch {
	case o.asyncAPI && o.verbose:
		return exit.Usagef("--verbose cannot be combined with --asyncapi, which prints all types")
	case o.openAPI != "" && (o.asyncAPI || o.source != ""):
		return exit.Usagef("--openapi cannot be combined with --asyncapi or --source")
	case o.openAPI != "" && o.to != "":
		return exit.Usagef("--openapi cannot be combined with a target: remove %q", target.WithoutLogin(o.to))
	case len(o.headers) > 0 && !isURL(o.openAPI):
		return exit.Usagef("--header requires --openapi with a URL")
	case o.source != "" && o.to != "":
		return exit.Usagef("--source cannot be combined with a target: remove %q", target.WithoutLogin(o.to))
	case o.openAPI != "" && !strings.HasPrefix(o.openAPI, "https://"):
		return o.target.NoTLS()
	}
	return nil
}

// runLs asks one target, or all services of the workspace.
func runLs(ctx context.Context, s *term.IO, o lsOptions) error {
	answers, err := o.survey(ctx)
	if err != nil {
		return err
	}
	switch {
	case len(answers) == 1 && answers[0].Err != nil:
		return o.notDescribed(ctx, answers[0])
	case o.asyncAPI:
		return o.printAsyncAPI(ctx, s, answers)
	case o.output == "json":
		return o.printDescriptions(ctx, s, answers)
	}
	return o.listAnswers(ctx, s, answers)
}

// survey asks all targets at once.
func (o *lsOptions) survey(ctx context.Context) ([]target.Answer, error) {
	targets, err := o.targets(ctx)
	if err != nil {
		return nil, err
	}
	several := make([][]target.Answer, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		if a, ok := target.FromSources(ctx, t); ok {
			several[i] = []target.Answer{a}
			continue
		}
		wg.Go(func() { several[i] = o.ask(ctx, t) })
	}
	wg.Wait()
	return slices.Concat(several...), nil
}

// ask asks all services at a target.
func (o *lsOptions) ask(ctx context.Context, t target.Target) []target.Answer {
	all, err := o.target.DescribeAll(ctx, t, o.timeout)
	if err != nil {
		return []target.Answer{{Target: t, Err: err}}
	}
	answers := make([]target.Answer, len(all))
	for i, d := range all {
		answers[i] = target.Answer{Target: t, Description: d}
	}
	return answers
}

// targets returns the given target, or the services of the workspace that handle
// messages, or the default target.
func (o *lsOptions) targets(ctx context.Context) ([]target.Target, error) {
	if o.to == "" {
		w, err := workspace.Current()
		if err != nil {
			return nil, err
		}
		if w != nil {
			return o.target.MessageTargets(ctx, w)
		}
		o.to = target.Default
	}
	t, err := o.target.Parse(ctx, o.to)
	return []target.Target{t}, err
}

// notDescribed explains why a service did not list its handlers.
func (o *lsOptions) notDescribed(ctx context.Context, a target.Answer) error {
	t := a.Target
	switch {
	case errors.Is(a.Err, micro.ErrNoHandler):
		return exit.WithHint(exit.WithText(a.Err, t.Name()+" is running but cannot list its handlers (NestJS services cannot)"), sourceHint)
	case t.Undescribed(a.Err) && t.Service == "":
		return exit.WithHint(exit.WithText(a.Err, "no service at "+t.Where()+" lists its handlers (NestJS services cannot)"), sourceHint)
	case t.Undescribed(a.Err):
		text := fmt.Sprintf("%s does not list its handlers at %s: it is not running, or it is a NestJS service", t.Service, t.Where())
		return exit.WithHint(exit.WithText(a.Err, text), "%s", t.StartHint(sourceHint))
	}
	return o.target.Diagnose(ctx, a.Err, t, nil)
}

// sourceHint is the hint for services that cannot list their handlers.
const sourceHint = "`msctl ls --source DIR` reads the patterns from TypeScript sources"

// listAnswers prints the services and their errors one after the other. It returns an
// error if no service answered.
func (o *lsOptions) listAnswers(ctx context.Context, s *term.IO, answers []target.Answer) error {
	p := s.OutPalette()
	var firstErr error
	answered := false
	for i, a := range answers {
		if i > 0 {
			fmt.Fprintln(s.Out)
		}
		if a.Err != nil {
			err := o.notDescribed(ctx, a)
			fmt.Fprintf(s.Out, "%s  %s\n", p.Bold(a.Target.Name()), p.Bad(visible.Line(exit.Text(s.Secrets(), err))))
			if firstErr == nil {
				firstErr = err
			}
			continue
		}
		answered = true
		writeDescription(s, a, o.verbose)
	}
	if answered {
		return nil
	}
	return exit.Said(firstErr)
}

// printDescriptions prints the descriptions as JSON, one object per line if there are
// several.
func (o *lsOptions) printDescriptions(ctx context.Context, s *term.IO, answers []target.Answer) error {
	type described struct {
		Target  string `json:"target"`
		Service string `json:"service,omitempty"`
		*micro.Description
		Error string `json:"error,omitempty"`
	}
	var firstErr error
	answered := false
	for _, a := range answers {
		if a.Source != "" {
			if err := printSourceAnswer(s, a); err != nil {
				return err
			}
			answered = true
			continue
		}
		line := described{Target: a.Target.String(), Service: a.Target.Service}
		if a.Err != nil {
			err := o.notDescribed(ctx, a)
			line.Error = exit.Text(s.Secrets(), err)
			if firstErr == nil {
				firstErr = err
			}
		} else {
			line.Description, answered = &a.Description, true
		}
		text, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("print the handlers: %w", err)
		}
		if err := s.PrintJSON(term.JSONAuto, text); err != nil {
			return err
		}
	}
	if answered {
		return nil
	}
	return firstErr
}
