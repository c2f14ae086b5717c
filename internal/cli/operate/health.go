package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
)

// healthOptions are the flags and arguments of `msctl health`.
type healthOptions struct {
	to      string
	target  target.Flags
	output  string
	timeout time.Duration
}

// NewHealthCommand returns `msctl health`.
func NewHealthCommand(s *term.IO) *cobra.Command {
	var o healthOptions
	cmd := &cobra.Command{
		Use:   "health TARGET",
		Short: "Check whether a service or a gateway is healthy",
		Long: `Check whether a service handles messages and its health checks pass, or whether a gateway
reports that it is healthy. The exit code is 0 if it is healthy, 1 if it replies that it is
not, and 4 if it does not reply in time or cannot be reached. So the command can be the
probe of a container (HEALTHCHECK, an exec probe of Kubernetes).

A service is sent the message msctl.health or, by its name in a workspace and on a broker,
msctl.health.NAME. A NestJS service has no handler for it: it is healthy if it replies so.
TARGET can be a URL: any status from 200 to 299 is healthy, and without a path it is
/health. The name of a gateway in the workspace is such a URL.

` + target.AddressSyntax,
		Example: `  msctl health items
  msctl health tcp://localhost:3002 --timeout 1s
  msctl health amqp://localhost/mail
  msctl health http://localhost:3000/health/ready
  msctl health items -o json`,
		GroupID:           command.GroupTalk,
		Args:              command.ArgCount(1, 1),
		ValidArgsFunction: completeHealth,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.to = args[0]
		return runHealth(cmd.Context(), s, o)
	}
	f := cmd.Flags()
	command.OutputFlag(f, &o.output, "output `FORMAT`: json", command.JSON)
	command.PositiveFlag(f, &o.timeout, "timeout", micro.DefaultTimeout, "wait up to `DURATION` for the reply")
	command.RegisterTLS(cmd, &o.target, "Connection")
	command.GroupFlags(cmd, "Connection", "timeout")
	return cmd
}

// completeHealth completes a TARGET: as for messages, or a gateway, or a URL.
func completeHealth(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, directive := command.CompleteTarget(cmd, args, typed)
	return append(list, command.CompleteGateways(typed)...), directive
}

// health is the result of a check, as `-o json` prints it.
type health struct {
	Target  string          `json:"target"`
	Healthy bool            `json:"healthy"`
	Report  json.RawMessage `json:"report,omitempty"` // what it replied, if that is JSON
	Error   string          `json:"error,omitempty"`

	line string // the result as text, if it is healthy
}

// runHealth prints the result of a check. An unhealthy target is an error.
func runHealth(ctx context.Context, s *term.IO, o healthOptions) error {
	o.target.Gateways = true
	if target.IsGateway(o.to) && !strings.Contains(o.to, "/") {
		o.to += "/health"
	}
	t, err := o.target.Parse(ctx, o.to)
	if err != nil {
		return err
	}
	result := health{Target: t.String()}
	ask := o.askService
	if t.Kind() == target.HTTP {
		ask = o.askURL
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	err = ask(ctx, t, &result)
	if code := exit.Code(err); code == exit.Timeout {
		err = exit.WithCode(err, exit.Unreachable)
	} else if code == exit.Service {
		err = exit.WithCode(err, exit.Failed)
	}
	if exit.Code(err) == exit.Usage || exit.Code(err) >= exit.Interrupted {
		return err
	}
	if o.output != "json" {
		if err == nil {
			fmt.Fprintln(s.Out, visible.Line(result.line))
		}
		return err
	}
	if result.Healthy = err == nil; !result.Healthy {
		result.Error = exit.Text(s.Secrets(), err)
	}
	text, failure := json.Marshal(result)
	if failure == nil {
		failure = s.PrintJSON(term.JSONAuto, text)
	}
	if err != nil {
		return exit.Said(err)
	}
	return failure
}

// askService sends the message for a service's health.
func (o *healthOptions) askService(ctx context.Context, t target.Target, result *health) error {
	conn, err := o.target.Dial(t, target.DialOptions{})
	if err != nil {
		return err
	}
	client := micro.NewClient(conn)
	defer client.Close()
	pattern := micro.HealthPattern
	if t.Service != "" && t.Shared() {
		pattern = micro.HealthOf(t.Service)
	}
	result.Report, err = micro.Call[json.RawMessage](ctx, client, pattern, micro.None{})
	switch {
	case errors.Is(err, micro.ErrNoHandler):
		result.Report, result.line = nil, t.Name()+" is running; it does not report its health (NestJS services do not)"
		return nil
	case err != nil && ctx.Err() != nil:
		return target.Explain(err, t) // no time is left to find out more
	case err != nil:
		return o.target.Diagnose(ctx, err, t, nil)
	}
	var h micro.Health
	if err := json.Unmarshal(result.Report, &h); err != nil || h.Status == "" {
		return exit.WithCode(fmt.Errorf("%s replied to %s, but not with its health", t.Name(), pattern), exit.Failed)
	}
	if h.Status == "ok" {
		result.line = strings.TrimSpace(cmp.Or(h.Name, t.Name())+" "+h.Version) + " is healthy, up " + term.Duration(time.Duration(h.Uptime*float64(time.Second)))
		return nil
	}
	text := t.Name() + " is not healthy"
	for _, name := range slices.Sorted(maps.Keys(h.Checks)) {
		if h.Checks[name] != "ok" {
			text += fmt.Sprintf("; check %s: %s", name, h.Checks[name])
		}
	}
	return exit.WithCode(errors.New(visible.Line(text)), exit.Failed)
}

// maxHealth limits how much of a response is read, in bytes.
const maxHealth = 1 << 20

// askURL requests the health of a gateway.
func (o *healthOptions) askURL(ctx context.Context, t target.Target, result *health) error {
	config, err := o.target.TLSConfig()
	if err != nil {
		return err
	}
	u, err := url.Parse(t.Addresses[0])
	if err != nil {
		return exit.Usagef("target %s: invalid URL", t)
	}
	if u.Scheme == target.SchemeHTTP {
		if err := o.target.NoTLS(); err != nil {
			return err
		}
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/health"
		result.Target = strings.TrimSuffix(result.Target, "/") + u.Path
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return exit.Usagef("target %s: %w", t, err)
	}
	if t.Login.Given {
		req.SetBasicAuth(t.Login.User, t.Login.PasswordText())
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	res, err := transport.RoundTrip(req) // follows no redirects
	var body []byte
	if err == nil {
		defer res.Body.Close()
		body, err = io.ReadAll(io.LimitReader(res.Body, maxHealth))
	}
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return exit.WithHint(fmt.Errorf("%s did not respond in time: %w", result.Target, micro.ErrTimeout), "increase --timeout")
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("cannot reach %s: %w", result.Target, errors.Join(micro.ErrUnreachable, err))
	}
	if json.Valid(body) {
		result.Report = body
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		text := fmt.Sprintf("%s is not healthy: status %s", result.Target, res.Status)
		if result.Report != nil {
			text += " " + string(body)
		}
		return exit.WithCode(errors.New(visible.Line(text)), exit.Failed)
	}
	result.line = result.Target + " is healthy: status " + res.Status
	return nil
}
