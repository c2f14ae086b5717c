package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// policyFlags are the flags that say how long to wait and how often to try.
type policyFlags struct {
	timeout time.Duration
	retries int
	delay   time.Duration
	backoff string
	jitter  string
}

// register adds the flags to a command; heading is theirs in its help.
func (f *policyFlags) register(cmd *cobra.Command, heading string) {
	flags := cmd.Flags()
	flags.DurationVar(&f.timeout, "timeout", micro.DefaultTimeout, "wait `DURATION` for the whole answer of an attempt")
	flags.IntVar(&f.retries, "retries", 0, "try up to `N` more times when the failure may be passing")
	flags.DurationVar(&f.delay, "retry-delay", time.Second, "wait `DURATION` before the first retry")
	flags.StringVar(&f.backoff, "backoff", "constant", "how the delay `GROWS`: constant, or exponential (doubling)")
	flags.StringVar(&f.jitter, "jitter", "none", "spread the delays at random by `RULE`: full, equal or none")
	flags.Lookup("jitter").NoOptDefVal = "full"
	groupFlags(cmd, heading, "timeout", "retries", "retry-delay", "backoff", "jitter")
}

// takeJitter makes `--jitter full` the same as `--jitter=full`: the flag may
// stand alone, so the word after it arrives among the arguments.
func (f *policyFlags) takeJitter(args []string) []string {
	if f.jitter != "full" {
		return args
	}
	i := slices.IndexFunc(args, func(arg string) bool { _, ok := policy.ParseJitter(arg); return ok })
	if i < 0 {
		return args
	}
	f.jitter = args[i]
	return slices.Delete(slices.Clone(args), i, i+1)
}

// maxRetries keeps the longest time a message may take within reason.
const maxRetries = 1000

func (f *policyFlags) check() error {
	switch {
	case f.timeout <= 0:
		return exit.Usagef("--timeout must be longer than 0: a call always ends")
	case f.retries < 0 || f.retries > maxRetries:
		return exit.Usagef("--retries must be from 0 to %d", maxRetries)
	case f.delay < 0:
		return exit.Usagef("--retry-delay must not be negative")
	case f.backoff != "constant" && f.backoff != "exponential":
		return exit.Usagef("unknown --backoff %q: use constant or exponential", f.backoff)
	}
	if _, ok := policy.ParseJitter(f.jitter); !ok {
		return exit.Usagef("unknown --jitter %q: use full, equal or none", f.jitter)
	}
	return nil
}

// options make a client as patient as the flags say. attempts is set to the
// number of each attempt that ends; verbose tells of those that are followed by
// another.
func (f *policyFlags) options(s *term.IO, verbose bool, attempts *int) []micro.ClientOption {
	jitter, _ := policy.ParseJitter(f.jitter) // checked
	p := policy.New(
		policy.WithTimeout(f.timeout), policy.WithRetries(f.retries), policy.WithBackoff(f.growth()), policy.WithJitter(jitter),
		policy.WithHooks(policy.Hooks{Ended: func(_ context.Context, a policy.Attempt) {
			*attempts = a.Number
			if verbose && a.Next == policy.Retry {
				s.Notef("%s", s.ErrPalette().Warn(fmt.Sprintf("attempt %d ended with %v, the next one follows in %s", a.Number, a.Err, duration(a.Delay))))
			}
		}}))
	// The policy bounds every attempt. The deadline of the whole stays out of its
	// way also on a busy machine, where timers are late.
	return []micro.ClientOption{p, micro.WithTimeout(p.Longest() + p.Longest()/10 + time.Second)}
}

// growth is how the delay grows.
func (f *policyFlags) growth() policy.Backoff {
	if f.backoff == "exponential" {
		return policy.Exponential(f.delay, 0)
	}
	return policy.Constant(f.delay)
}

// settings returns the policy that the flags describe.
func (f *policyFlags) settings() policy.Settings {
	jitter, _ := policy.ParseJitter(f.jitter) // checked
	return policy.Settings{Timeout: f.timeout, Retries: f.retries, Backoff: f.growth(), Jitter: jitter}
}
