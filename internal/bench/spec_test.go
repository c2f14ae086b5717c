package bench

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/target"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// specOf returns a Spec with settings: pairs of a flag and its value.
func specOf(t *testing.T, flags ...string) (*Spec, error) {
	t.Helper()
	s := NewSpec()
	for i := 0; i+1 < len(flags); i += 2 {
		name, ok := strings.CutPrefix(flags[i], "--")
		if !ok {
			t.Fatalf("%q is not a flag", flags[i])
		}
		if err := s.Set(name, flags[i+1]); err != nil {
			return s, err
		}
	}
	return s, nil
}

// readSpec returns the checked Spec of a command line: PATTERN and DATA, then pairs of
// a flag and its value.
func readSpec(t *testing.T, stdin string, words ...string) (*Spec, error) {
	t.Helper()
	var args, flags []string
	scenario := ""
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "--scenario":
			scenario = words[i+1]
			i++
		case strings.HasPrefix(words[i], "--"):
			flags = append(flags, words[i], words[i+1])
			i++
		default:
			args = append(args, words[i])
		}
	}
	s, err := specOf(t, flags...)
	if err == nil && scenario != "" {
		err = s.ReadScenario(scenario, len(args) > 0)
	}
	if err == nil && len(s.Messages) == 0 {
		err = s.SetMessage(args)
	}
	if err == nil {
		err = s.Check(strings.NewReader(stdin))
	}
	return s, err
}

// FuzzSet: every text is a value of a setting, a value of another type, or a usage
// error that points into the text.
func FuzzSet(f *testing.F) {
	for _, text := range []string{
		"100/s..2000/s", "500/s±200/s:30s", "5+-2:1s", "500/s:10s,0/s:5s", "timeout=1s,2s", "fault=drop;error=5%", "5/100ms", "1e3/h", "..", "±:", ",:=", "\xff:1s",
		"20%+10/s", "p99<50ms", "50%/10s+5s", "stall@10s+4s", "p95,max=2", "true", "-1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range Settings() {
			err := NewSpec().Set(name, text)
			var wrong *TypeError
			var at exit.Pointer
			switch {
			case err == nil, errors.As(err, &wrong):
			case exit.Code(err) != exit.Usage:
				t.Errorf("--%s %q: %v is not a usage error", name, text, err)
			case errors.As(err, &at) && (at.Offset > len(at.Text) || at.What != "--"+name):
				t.Errorf("--%s %q: %v points elsewhere", name, text, err)
			}
		}
	})
}

// TestAccepts: settings that only messages or only HTTP have, and faults that a
// target cannot have.
func TestAccepts(t *testing.T) {
	cases := []struct {
		args []string
		to   string
		want string // "" for no error
	}{
		{[]string{"cmd=x"}, "tcp://a:1", ""},
		{[]string{"cmd=x", "--fault", "drop"}, "tcp://a:1", ""},
		{[]string{"cmd=x", "--fault", "pause@1s+1s"}, "tcp://a:1", "--fault pause@1s+1s pauses a process"},
		{[]string{"cmd=x", "--method", "PUT"}, "tcp://a:1", "--method requires an HTTP target"},
		{[]string{"cmd=x", "--header", "a: b"}, "tls://a:1", "--header requires an HTTP target"},
		{[]string{"--to", "http://a", "--header", "a: b", "--method", "put"}, "http://a", ""},
		{[]string{"--to", "http://a", "--fault", "reset"}, "http://a", ""},
		{[]string{"--to", "http://a", "--fault", "drop"}, "http://a", "--fault drop: it requires messages"},
	}
	for _, c := range cases {
		s, err := readSpec(t, "", c.args...)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		to, err := new(target.Flags).Parse(t.Context(), c.to)
		if err != nil {
			t.Fatal(err)
		}
		if err = s.Messages[0].accepts(to); err == nil {
			err = s.checkFaults(to)
		}
		if c.want == "" && err != nil || c.want != "" && (exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q to %s: %v, want %q", c.args, c.to, err, c.want)
		}
	}
}
