package printcode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// printedPolicies returns policies that cover all settings.
func printedPolicies() map[string]policy.Settings {
	all := map[string]policy.Settings{
		"zero": {},
		"odd": policy.New(
			policy.WithTimeout(1500*time.Microsecond), policy.WithRetries(4), policy.WithJitter(policy.EqualJitter),
			policy.WithBackoff(policy.Backoff{Delay: 3 * time.Nanosecond, Factor: 1.7, Max: time.Hour}),
			policy.WithBudget(1.0/3, 0), policy.WithRetryOn("timeout", "5xx", "404"),
		).Settings(),
		"unbounded": policy.New(policy.WithDeadline(time.Minute), policy.WithRetries(1), policy.WithBackoff(policy.Exponential(time.Second, 0)),
			policy.WithBudget(0, 2.5)).Settings(),
		"guarded": policy.New(policy.WithBreaker(policy.Breaker{Ratio: 0.25, Minimum: 7}), policy.WithHedge(policy.Hedge{Quantile: 0.95, Max: 2})).Settings(),
		"hedged":  policy.New(policy.WithHedge(policy.Hedge{Delay: 20 * time.Millisecond})).Settings(),
	}
	for _, name := range policy.PresetNames() {
		p, _ := policy.Preset(name)
		all[name] = p.Settings()
	}
	return all
}

// TestPrintedGoPolicy compiles and runs the printed code, and checks that it returns the
// same policy.
func TestPrintedGoPolicy(t *testing.T) {
	want := printedPolicies()
	dir := t.TempDir()
	main := "package main\n\nimport (\n\t\"encoding/json\"\n\t\"os\"\n)\n\nfunc main() {\n\t_ = json.NewEncoder(os.Stdout).Encode(map[string]any{\n"
	files := []string{filepath.Join(dir, "main.go")}
	for name, s := range want {
		var out bytes.Buffer
		if err := WritePolicy(&out, "go", s); err != nil {
			t.Fatal(err)
		}
		code := strings.Replace(out.String(), "func newPolicy()", "func "+name+"()", 1)
		file := filepath.Join(dir, name+".go")
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		main += "\t\t\"" + name + "\": " + name + "().Settings(),\n"
	}
	if err := os.WriteFile(files[0], []byte(main+"\t})\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	run := exec.CommandContext(t.Context(), "go", append([]string{"run"}, files...)...)
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	got := map[string]policy.Settings{}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// step is how a scripted service treats one attempt: it sends a value at each of some
// times, and then the reply ends, with the error that is its JSON, or never. Times are
// milliseconds since the attempt began.
type step struct {
	Values []int           `json:"values,omitempty"`
	At     int             `json:"at"`
	End    string          `json:"end"` // complete, answer, refused, closed, or never
	Error  json.RawMessage `json:"error,omitempty"`
}

// scriptedCall is a call of a scripted service. Its caller leaves after Cancel milliseconds,
// unless that is 0.
type scriptedCall struct {
	Steps  []step `json:"steps"`
	Cancel int    `json:"cancel,omitempty"`
}

// conduct is what a policy did: when it made attempts and when the caller had values, in
// milliseconds, and how the request ended.
type conduct struct {
	Attempts []int64 `json:"attempts"`
	Values   []int64 `json:"values"`
	Took     int64   `json:"took"`
	End      string  `json:"end"` // complete, answer, refused, closed, timeout, or canceled
}

// scriptCalls is how often each script is called: until a budget is spent.
const scriptCalls = 12

// scriptedCalls returns scripts for every shape of reply. No two things happen in the same
// millisecond, because then their order would decide.
func scriptedCalls() map[string]scriptedCall {
	values := func(at ...int) step { return step{Values: at, At: at[len(at)-1], End: "complete"} }
	fails := func(s step, at int, end string) step { s.At, s.End = at, end; return s }
	answer := func(s step, at int, payload string) step {
		s.At, s.End, s.Error = at, "answer", json.RawMessage(payload)
		return s
	}
	of := func(steps ...step) scriptedCall { return scriptedCall{Steps: steps} }
	until := func(cancel int, steps ...step) scriptedCall { return scriptedCall{steps, cancel} }
	nothing, never, refused := step{}, step{End: "never"}, step{End: "refused"}
	busy, broken := `{"status":503,"message":"busy"}`, `{"status":"error","message":"Internal server error"}`
	return map[string]scriptedCall{
		"one":                          of(values(5)),
		"one, late":                    of(values(5407)),
		"one, then late":               of(never, values(5)),
		"several":                      of(values(3, 7, 9)),
		"several, slowly":              of(values(2003, 4007, 6011, 8013, 9999)),
		"several, in time":             of(values(303, 607, 811)),
		"several, more and more slow":  of(values(11, 333, 1777, 5003, 10007)),
		"several, then slow":           of(values(3, 7, 7013)),
		"a value, then no end":         of(step{Values: []int{13}, End: "never"}),
		"values, then no end":          of(step{Values: []int{13, 2017, 4019}, End: "never"}),
		"no end, then one":             of(step{Values: []int{13}, End: "never"}, values(5)),
		"a late end":                   of(fails(values(13), 2029, "complete")),
		"empty":                        of(fails(nothing, 3, "complete")),
		"empty at once":                of(fails(nothing, 0, "complete")),
		"empty, late":                  of(fails(nothing, 5407, "complete")),
		"never":                        of(never),
		"refused":                      of(refused),
		"refused, then one":            of(refused, values(7)),
		"refused, then several":        of(refused, values(7, 11, 503)),
		"refused, refused, then empty": of(refused, refused, fails(nothing, 3, "complete")),
		"closed":                       of(fails(nothing, 3, "closed")),
		"closed after a value":         of(fails(values(3), 5, "closed")),
		"closed after values":          of(fails(values(3, 401), 703, "closed")),
		"closed, then one":             of(fails(values(3), 5, "closed"), values(17)),
		"closed twice, then several":   of(fails(values(3), 5, "closed"), fails(values(1, 2), 3, "closed"), values(17, 19)),
		"busy":                         of(answer(nothing, 1, `{"statusCode":503,"message":"busy"}`)),
		"busy after a value":           of(answer(values(2), 11, busy)),
		"never, busy, then one":        of(never, answer(nothing, 2, busy), values(1)),
		"wrong":                        of(answer(nothing, 1, `{"status":404,"message":"no"}`)),
		"wrong after a value":          of(answer(values(2), 3, `{"status":404,"message":"no"}`)),
		"no status":                    of(answer(nothing, 1, broken)),
		"no status, then one":          of(answer(nothing, 1, broken), values(23)),
		"text":                         of(answer(nothing, 1, `"no"`)),
		"no number":                    of(answer(nothing, 1, `{"status":"503","message":"busy"}`)),
		"out of range":                 of(answer(nothing, 1, `{"status":7,"code":502}`)),
		"error, late":                  of(answer(nothing, 5407, busy)),
		"canceled before a value":      until(47, values(5407)),
		"canceled between values":      until(47, values(7, 5407)),
		"canceled during the delay":    until(61, refused),
		"canceled during the retry":    until(1457, refused, never),
		"canceled much later":          until(7919, never),
		"canceled after the end":       until(47, values(5)),
	}
}

// scriptedPolicies returns the presets and combinations of flags that can be printed for
// NestJS. They have no jitter: see TestPrintedJitter.
func scriptedPolicies() map[string]policy.Settings {
	const ms = time.Millisecond
	policies := printedPolicies()
	for _, name := range []string{"odd", "guarded", "hedged"} {
		delete(policies, name) // TestWritePolicyErrors
	}
	flags := map[string][]policy.Option{
		"whole reply":                {policy.WithTimeout(time.Second), policy.WithRetries(2), policy.WithRetryOn("any")},
		"per value":                  {policy.WithTimeout(time.Second), policy.WithTimeoutPerValue(true), policy.WithRetries(2), policy.WithBackoff(policy.Constant(150 * ms))},
		"after a value":              {policy.WithTimeout(time.Second), policy.WithRetryAfterValue(true), policy.WithRetries(2), policy.WithBackoff(policy.Constant(150 * ms))},
		"per value, deadline":        {policy.WithTimeout(time.Second), policy.WithTimeoutPerValue(true), policy.WithDeadline(6 * time.Second), policy.WithRetries(3), policy.WithBackoff(policy.Constant(150 * ms))},
		"deadline only":              {policy.WithDeadline(3 * time.Second)},
		"deadline and retries":       {policy.WithDeadline(3 * time.Second), policy.WithRetries(2), policy.WithRetryOn("any"), policy.WithRetryAfterValue(true)},
		"errors":                     {policy.WithRetries(2), policy.WithTimeout(time.Second), policy.WithRetryOn("error", "reset")},
		"never retries":              {policy.WithRetries(2), policy.WithTimeout(time.Second), policy.WithRetryOn("never"), policy.WithBudget(0.1, 1)},
		"growing":                    {policy.WithTimeout(350 * ms), policy.WithRetries(4), policy.WithBackoff(policy.Backoff{Delay: 40 * ms, Factor: 3, Max: 300 * ms}), policy.WithDeadline(1100 * ms), policy.WithBudget(0.5, 0), policy.WithRetryOn("timeout", "5xx", "404")},
		"earned only":                {policy.WithTimeout(time.Second), policy.WithRetries(3), policy.WithBudget(0.35, 0), policy.WithBackoff(policy.Constant(250 * ms))},
		"floor only":                 {policy.WithTimeout(time.Second), policy.WithRetries(3), policy.WithBudget(0, 0.3), policy.WithBackoff(policy.Constant(250 * ms))},
		"a low floor":                {policy.WithTimeout(time.Second), policy.WithRetries(3), policy.WithBudget(0, 0.03), policy.WithRetryOn("any")},
		"both":                       {policy.WithTimeout(time.Second), policy.WithRetries(3), policy.WithBudget(0.15, 0.07), policy.WithBackoff(policy.Constant(250 * ms))},
		"more than one each":         {policy.WithTimeout(time.Second), policy.WithRetries(5), policy.WithBudget(1.3, 0), policy.WithRetryOn("any")},
		"a timeout of a month":       {policy.WithTimeout(30 * 24 * time.Hour), policy.WithDeadline(3 * time.Second), policy.WithRetries(1)},
		"delays beyond the deadline": {policy.WithDeadline(3 * time.Second), policy.WithRetries(9), policy.WithBackoff(policy.Exponential(300*ms, 0))},
	}
	for _, preset := range policy.PresetNames() {
		for name, opts := range map[string][]policy.Option{
			"timeout":  {policy.WithTimeout(700 * ms)},
			"deadline": {policy.WithDeadline(7 * time.Second)},
			"retries":  {policy.WithRetries(1), policy.WithBackoff(policy.Constant(350 * ms))},
			"budget":   {policy.WithBudget(0.2, 0.1), policy.WithRetries(2)},
			"retry-on": {policy.WithRetryOn("timeout", "503"), policy.WithRetries(1)},
		} {
			p, _ := policy.Preset(preset, opts...)
			policies[preset+" with --"+name] = p.Settings()
		}
	}
	for name, opts := range flags {
		policies[name] = policy.New(opts...).Settings()
	}
	for name, s := range policies {
		if s.Timeout == 0 && s.Deadline == 0 {
			s.Timeout = time.Minute
		}
		s.Jitter = policy.NoJitter
		policies[name] = s
	}
	return policies
}

// TestPrintedNestPolicy runs what is printed with the real rxjs against scripted
// services, on a clock of its own, and holds it to what our policy does.
func TestPrintedNestPolicy(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	policies, scripts := scriptedPolicies(), scriptedCalls()
	printed := nestConduct(t, policies, nestInput{Scripts: scripts, Calls: scriptCalls})
	for name, s := range policies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := map[string][]conduct{}
			for name, script := range scripts {
				want[name] = ownConduct(t, s, script)
			}
			if diff := cmp.Diff(want, printed[name], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: -policy +printed\n%s", policytext.Describe(s), diff)
			}
		})
	}
}

// ownConduct makes calls under our policy, one after the other, through a client, as the
// printed code does.
func ownConduct(t *testing.T, s policy.Settings, script scriptedCall) (all []conduct) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, err := policy.FromSettings(s)
		if err != nil {
			t.Fatal(err)
		}
		conn := &scriptedConn{steps: script.Steps}
		client := micro.NewClient(conn, p)
		for range scriptCalls {
			begin, c := time.Now(), conduct{}
			conn.begin, conn.attempts = begin, nil
			ctx, cancel := context.WithCancel(t.Context())
			if script.Cancel > 0 {
				timer := time.AfterFunc(time.Duration(script.Cancel)*time.Millisecond, cancel)
				defer timer.Stop()
			}
			err := client.Do(ctx, &micro.Request{Pattern: micro.Cmd("x")}, micro.ReplyFunc(func(micro.Value) error {
				c.Values = append(c.Values, time.Since(begin).Milliseconds())
				return nil
			}))
			c.Attempts, c.Took, c.End = conn.attempts, time.Since(begin).Milliseconds(), endOf(err)
			all = append(all, c)
			cancel()
		}
	})
	return all
}

// scriptedConn is a connection to a scripted service.
type scriptedConn struct {
	steps    []step
	begin    time.Time
	attempts []int64
}

func (c *scriptedConn) Publish(context.Context, *micro.Request) error { return nil }
func (c *scriptedConn) Close() error                                  { return nil }

func (c *scriptedConn) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	start := time.Now()
	c.attempts = append(c.attempts, start.Sub(c.begin).Milliseconds())
	step := c.steps[min(len(c.attempts), len(c.steps))-1]
	until := func(at int) error {
		if at == 0 {
			return nil
		}
		ctx, cancel := context.WithDeadlineCause(ctx, req.Deadline, micro.ErrTimeout)
		defer cancel()
		timer := time.NewTimer(time.Until(start.Add(time.Duration(at) * time.Millisecond)))
		defer timer.Stop()
		if at < 0 {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for i, at := range step.Values {
		if err := until(at); err != nil {
			return err
		}
		last := step.End == "complete" && step.At == at && i == len(step.Values)-1
		if err := reply.Send(micro.Value{Raw: []byte("1"), Last: last}); err != nil {
			return err
		}
	}
	if step.End == "never" {
		return until(-1)
	}
	if len(step.Values) == 0 || step.At > step.Values[len(step.Values)-1] {
		if err := until(step.At); err != nil {
			return err
		}
	}
	switch step.End {
	case "answer":
		return micro.RemoteError(step.Error)
	case "refused":
		return micro.ErrUnreachable
	case "closed":
		return micro.ErrConnectionLost
	}
	return nil
}

func endOf(err error) string {
	var answer *micro.Error
	switch {
	case err == nil:
		return "complete"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &answer):
		return "answer"
	case errors.Is(err, micro.ErrTimeout):
		return "timeout"
	case errors.Is(err, micro.ErrUnreachable):
		return "refused"
	}
	return "closed"
}

// TestPrintedJitter: delays are where the policy's jitter puts them.
func TestPrintedJitter(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	cases := []struct {
		jitter policy.Jitter
		random float64
		want   []int64 // when attempts are made
	}{
		{policy.FullJitter, 0, []int64{0, 0, 0}},
		{policy.FullJitter, 0.5, []int64{0, 50, 150}},
		{policy.EqualJitter, 0, []int64{0, 50, 150}},
		{policy.EqualJitter, 0.5, []int64{0, 75, 225}},
		{policy.NoJitter, 0.5, []int64{0, 100, 300}},
	}
	in := nestInput{Scripts: map[string]scriptedCall{"refused": {Steps: []step{{End: "refused"}}}}, Calls: 1, Random: map[string]float64{}}
	policies, want := map[string]policy.Settings{}, map[string]map[string][]conduct{}
	for _, c := range cases {
		name := fmt.Sprintf("%s jitter at %g", c.jitter, c.random)
		policies[name] = policy.New(policy.WithRetries(2), policy.WithBackoff(policy.Exponential(100*time.Millisecond, 0)), policy.WithJitter(c.jitter)).Settings()
		in.Random[name] = c.random
		want[name] = map[string][]conduct{"refused": {{Attempts: c.want, Took: c.want[2], End: "refused"}}}
	}
	if diff := cmp.Diff(want, nestConduct(t, policies, in), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWritePolicyErrors(t *testing.T) {
	cases := map[string]struct {
		language string
		settings policy.Settings
		want     string
	}{
		"language": {"rust", policy.Settings{}, `unknown --print-policy "rust": use go or nest`},
		"function": {"go", policy.Settings{RetryOn: policy.Custom}, "cannot print the policy: a function decides which errors it retries"},
		"breaker":  {"nest", policy.New(policy.WithBreaker(policy.Breaker{Ratio: 0.25})).Settings(), "cannot print the policy for NestJS: RxJS has no circuit breaker (25%/10s+5s)"},
		"hedge": {
			"nest", policy.New(policy.WithHedge(policy.Hedge{Delay: 20 * time.Millisecond})).Settings(),
			"cannot print the policy for NestJS: a ClientProxy cannot cancel the redundant request of a hedge (20ms)",
		},
		"timeout of a month": {
			"nest", policy.New(policy.WithTimeout(600 * time.Hour)).Settings(),
			"cannot print the policy for NestJS: timers in JavaScript end after 24.8 days (--timeout, up to 600h0m0s)",
		},
		"timeout per value of a month": {
			"nest", policy.New(policy.WithTimeout(600*time.Hour), policy.WithTimeoutPerValue(true), policy.WithDeadline(601*time.Hour)).Settings(),
			"cannot print the policy for NestJS: timers in JavaScript end after 24.8 days (--timeout, up to 600h0m0s)",
		},
		"deadline of a month": {
			"nest", policy.New(policy.WithDeadline(600 * time.Hour)).Settings(),
			"cannot print the policy for NestJS: timers in JavaScript end after 24.8 days (--deadline, up to 600h0m0s)",
		},
		"delays of a month": {
			"nest", policy.New(policy.WithTimeout(time.Second), policy.WithRetries(40), policy.WithBackoff(policy.Exponential(time.Second, 600*time.Hour))).Settings(),
			"cannot print the policy for NestJS: timers in JavaScript end after 24.8 days (--retry-delay, up to 600h0m0s)",
		},
		"half a millisecond": {
			"nest", policy.New(policy.WithTimeout(1500 * time.Microsecond)).Settings(),
			"cannot print the policy for NestJS: timers in JavaScript count whole milliseconds (--timeout 1.5ms)",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := WritePolicy(&out, c.language, c.settings)
			if err == nil || err.Error() != c.want || out.Len() > 0 {
				t.Errorf("got %v and %q, want %q", err, out.String(), c.want)
			}
		})
	}
}

// nestInput is the input of testdata/policy.mjs: scripts, the number of calls of each,
// and the result of Math.random under each policy (0 if it has none).
type nestInput struct {
	Scripts map[string]scriptedCall `json:"scripts"`
	Calls   int                     `json:"calls"`
	Random  map[string]float64      `json:"random"`
}

// nestConduct makes the scripted calls with testdata/policy.mjs under the printed policies.
// The result is by policy and by script.
func nestConduct(t *testing.T, policies map[string]policy.Settings, in nestInput) map[string]map[string][]conduct {
	t.Helper()
	dir := nestFolder(t)
	names, random := map[string]string{}, map[string]float64{} // by file
	for name, s := range policies {
		file := fmt.Sprintf("p%d", len(names))
		names[file], random[file] = name, in.Random[name]
		writeNestPolicy(t, filepath.Join(dir, file+".ts"), s)
	}
	in.Random = random
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	harness, err := os.ReadFile(filepath.Join("testdata", "policy.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "run.mjs"), harness, 0o600); err != nil {
		t.Fatal(err)
	}
	var answer map[string]map[string][]conduct
	if err := json.Unmarshal(runNode(t, dir, "run.mjs", string(input)), &answer); err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string][]conduct{}
	for file, name := range names {
		all[name] = answer[file]
	}
	return all
}

// nestFolder returns a folder in which the packages of NestJS can be imported.
func nestFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	modules := filepath.Join(testenv.Root(), "testdata", "nest", string(testenv.Nest12), "node_modules")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeNestPolicy(t *testing.T, file string, s policy.Settings) {
	t.Helper()
	var out bytes.Buffer
	if err := WritePolicy(&out, "nest", s); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func runNode(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	run := exec.CommandContext(t.Context(), "node", args...)
	run.Dir, run.Stderr = dir, &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, stderr.String())
	}
	return out
}

// TestPrintedNestPolicyCompiles checks the types of all printed policies, as strictly as
// TypeScript can.
func TestPrintedNestPolicyCompiles(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	dir := nestFolder(t)
	args := []string{
		"node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--noUnusedLocals", "--noUnusedParameters", "--noImplicitReturns",
		"--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext", "--skipLibCheck", "--lib", "es2022,dom",
	}
	for _, s := range scriptedPolicies() {
		file := fmt.Sprintf("p%d.ts", len(args))
		writeNestPolicy(t, filepath.Join(dir, file), s)
		args = append(args, file)
	}
	runNode(t, dir, args...)
}
