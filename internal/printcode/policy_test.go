package printcode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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

// step is how a scripted service treats one attempt: it answers after a while
// with a value, with the error that is its JSON, or never.
type step struct {
	After int             `json:"after"` // milliseconds
	Kind  string          `json:"kind"`  // value, answer, refused, closed or never
	Error json.RawMessage `json:"error,omitempty"`
}

// conduct is what a policy did: when it made attempts, in milliseconds, and how
// the request ended.
type conduct struct {
	Attempts []int64 `json:"attempts"`
	Took     int64   `json:"took"`
	End      string  `json:"end"` // value, answer, refused, closed or timeout
}

// scriptCalls is how often each script is called: until a budget is spent.
const scriptCalls = 12

func scriptedCalls() map[string][]step {
	refused, never := step{Kind: "refused"}, step{Kind: "never"}
	status := func(after int, payload string) step {
		return step{After: after, Kind: "answer", Error: json.RawMessage(payload)}
	}
	return map[string][]step{
		"well":         {{After: 5, Kind: "value"}},
		"refused":      {refused},
		"never":        {never},
		"closed":       {{After: 3, Kind: "closed"}},
		"second":       {refused, {After: 7, Kind: "value"}},
		"third":        {never, status(2, `{"status":503,"message":"busy"}`), {After: 1, Kind: "value"}},
		"busy":         {status(1, `{"statusCode":503,"message":"busy"}`)},
		"wrong":        {status(1, `{"status":404,"message":"no"}`)},
		"no status":    {status(1, `{"status":"error","message":"Internal server error"}`)},
		"text":         {status(1, `"no"`)},
		"no number":    {status(1, `{"status":"503","message":"busy"}`)},
		"out of range": {status(1, `{"status":7,"code":502}`)},
	}
}

// TestPrintedNestPolicy runs what is printed with the real rxjs against scripted
// services, on a clock of its own, and holds it to what our policy does.
func TestPrintedNestPolicy(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	policies := printedPolicies()
	for _, name := range []string{"odd", "guarded", "hedged"} {
		delete(policies, name) // below, or more than rxjs code does
	}
	policies["odd"] = policy.New(
		policy.WithTimeout(20*time.Millisecond), policy.WithRetries(4), policy.WithBackoff(policy.Backoff{Delay: 4 * time.Millisecond, Factor: 3, Max: 30 * time.Millisecond}),
		policy.WithDeadline(70*time.Millisecond), policy.WithBudget(0.5, 0), policy.WithRetryOn("timeout", "5xx", "404"),
	).Settings()
	policies["errors"] = policy.New(policy.WithRetries(2), policy.WithTimeout(time.Second), policy.WithRetryOn("error", "reset")).Settings()
	policies["never"] = policy.New(policy.WithRetries(2), policy.WithTimeout(time.Second), policy.WithRetryOn("never")).Settings()
	for name, s := range policies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.Jitter = policy.NoJitter // TestPrintedJitter
			if s.Timeout == 0 && s.Deadline == 0 {
				s.Timeout = time.Minute
			}
			want := map[string][]conduct{}
			for name, steps := range scriptedCalls() {
				want[name] = ownConduct(t, s, steps)
			}
			got := nestConduct(t, s, nestInput{Scripts: scriptedCalls(), Calls: scriptCalls})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-policy +printed\n%s", diff)
			}
		})
	}
}

// ownConduct makes calls under our policy, one after the other.
func ownConduct(t *testing.T, s policy.Settings, steps []step) (all []conduct) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, err := policy.FromSettings(s)
		if err != nil {
			t.Fatal(err)
		}
		for range scriptCalls {
			begin, c := time.Now(), conduct{}
			err := p.Run(t.Context(), &micro.Request{}, discard{}, func(ctx context.Context, req *micro.Request, _ micro.Reply) error {
				c.Attempts = append(c.Attempts, time.Since(begin).Milliseconds())
				return steps[min(len(c.Attempts), len(steps))-1].own(req)
			})
			c.Took, c.End = time.Since(begin).Milliseconds(), endOf(err)
			all = append(all, c)
		}
	})
	return all
}

type discard struct{}

func (discard) Send(micro.Value) error { return nil }

// own is the step as a connection of ours behaves.
func (s step) own(req *micro.Request) error {
	left := time.Until(req.Deadline)
	after := time.Duration(s.After) * time.Millisecond
	if s.Kind == "never" || after >= left {
		<-time.After(left)
		return micro.ErrTimeout
	}
	<-time.After(after)
	switch s.Kind {
	case "answer":
		return micro.RemoteError(s.Error)
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
		return "value"
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
	for _, c := range cases {
		s := policy.New(policy.WithRetries(2), policy.WithBackoff(policy.Exponential(100*time.Millisecond, 0)), policy.WithJitter(c.jitter)).Settings()
		got := nestConduct(t, s, nestInput{map[string][]step{"refused": {{Kind: "refused"}}}, 1, c.random})["refused"]
		want := []conduct{{Attempts: c.want, Took: c.want[2], End: "refused"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s jitter at %g: -want +got\n%s", c.jitter, c.random, diff)
		}
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
// and the result of Math.random.
type nestInput struct {
	Scripts map[string][]step `json:"scripts"`
	Calls   int               `json:"calls"`
	Random  float64           `json:"random"`
}

// nestConduct makes the scripted calls with testdata/policy.mjs under the
// printed policy, the annotations of TypeScript taken off.
func nestConduct(t *testing.T, s policy.Settings, in nestInput) (all map[string][]conduct) {
	t.Helper()
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := WritePolicy(&out, "nest", s); err != nil {
		t.Fatal(err)
	}
	code := strings.NewReplacer(
		"type MonoTypeOperatorFunction, ", "", "type MonoTypeOperatorFunction }", "}", "<T>(): MonoTypeOperatorFunction<T>", "()",
		": any", "", ": boolean", "", ": void", "", "private ", "",
	).Replace(out.String())
	modules := filepath.Join(testenv.Root(), "testdata", "nest", string(testenv.Nest12), "node_modules")
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	harness, err := os.ReadFile(filepath.Join("testdata", "policy.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"policy.mjs": code, "run.mjs": string(harness)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stderr bytes.Buffer
	run := exec.CommandContext(t.Context(), "node", "run.mjs", string(input))
	run.Dir, run.Stderr = dir, &stderr
	answer, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr.String(), code)
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
