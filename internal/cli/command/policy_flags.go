package command

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// PolicyFlags are the flags of a retry policy. [PolicyFlags.Register] sets their defaults.
type PolicyFlags struct {
	Timeout time.Duration // of one attempt
	Jitter  string        // full, equal, or none
	retries int
	delay   time.Duration
	backoff string
}

// Register adds the flags to a command, under a heading of its help.
func (f *PolicyFlags) Register(cmd *cobra.Command, heading string) {
	flags := cmd.Flags()
	PositiveFlag(flags, &f.Timeout, "timeout", micro.DefaultTimeout, "wait up to `DURATION` for the complete reply to an attempt")
	flags.IntVar(&f.retries, "retries", 0, "retry up to `N` times on transient errors, even if the service may have done the work")
	DurationFlag(flags, &f.delay, "retry-delay", time.Second, "wait `DURATION` before the first retry")
	flags.StringVar(&f.backoff, "backoff", "constant", "backoff `KIND`: constant, or exponential (doubles each time)")
	flags.StringVar(&f.Jitter, "jitter", "none", "randomize the delays by `RULE`: full, equal, or none")
	flags.Lookup("jitter").NoOptDefVal = "full"
	GroupFlags(cmd, heading, "timeout", "retries", "retry-delay", "backoff", "jitter")
}

// TakeJitter makes `--jitter full` mean `--jitter=full`. Since the flag's value is
// optional, pflag leaves the word after it among the arguments. It returns the rule
// and the other arguments.
func TakeJitter(jitter string, args []string) (rule string, rest []string) {
	if jitter != "full" {
		return jitter, args
	}
	i := slices.IndexFunc(args, func(arg string) bool { _, ok := policytext.ParseJitter(arg); return ok })
	if i < 0 {
		return jitter, args
	}
	return args[i], slices.Delete(slices.Clone(args), i, i+1)
}

// maxRetries bounds the time that a message can take.
const maxRetries = 1000

// Check returns a usage error for a value that the flags do not accept.
func (f *PolicyFlags) Check() error {
	switch {
	case f.retries < 0 || f.retries > maxRetries:
		return exit.Usagef("--retries must be between 0 and %d", maxRetries)
	case f.backoff != "constant" && f.backoff != "exponential":
		return exit.Usagef("unknown --backoff %q: use constant or exponential", f.backoff)
	}
	if _, ok := policytext.ParseJitter(f.Jitter); !ok {
		return exit.Usagef("unknown --jitter %q: use full, equal, or none", f.Jitter)
	}
	return nil
}

// Options returns the client options for the policy, whose flags have passed
// [PolicyFlags.Check]. attempts is set to the number
// of each attempt that ends. With verbose, every attempt that is retried is printed.
func (f *PolicyFlags) Options(s *term.IO, verbose bool, attempts *int) []micro.ClientOption {
	jitter, _ := policytext.ParseJitter(f.Jitter) // checked
	p := policy.New(
		policy.WithTimeout(f.Timeout), policy.WithRetries(f.retries), policy.WithBackoff(f.growth()), policy.WithJitter(jitter),
		policy.WithHooks(policy.Hooks{Ended: func(_ context.Context, a policy.Attempt) {
			*attempts = a.Number
			if verbose && a.Next == policy.Retry {
				s.Notef("%s", s.ErrPalette().Warn(fmt.Sprintf("attempt %d failed: %s; retrying in %s", a.Number, visible.Line(exit.Text(s.Secrets(), a.Err)), term.Duration(a.Delay))))
			}
		}}))
	return []micro.ClientOption{p}
}

// growth returns the backoff.
func (f *PolicyFlags) growth() policy.Backoff {
	if f.backoff == "exponential" {
		return policy.Exponential(f.delay, 0)
	}
	return policy.Constant(f.delay)
}

// Settings returns the policy that the flags describe, which have passed
// [PolicyFlags.Check].
func (f *PolicyFlags) Settings() policy.Settings {
	jitter, _ := policytext.ParseJitter(f.Jitter) // checked
	return policy.Settings{Timeout: f.Timeout, Retries: f.retries, Backoff: f.growth(), Jitter: jitter}
}
