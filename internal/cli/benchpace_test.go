package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	benchreport "github.com/msctl/msctl/internal/load/report"
)

// refused wants a usage error that points at a column of what was typed.
func refused(t *testing.T, err error, column int, message string) {
	t.Helper()
	var at exit.Pointer
	if exit.Code(err) != exit.Usage || !errors.As(err, &at) {
		t.Errorf("%v, want a usage error that points somewhere", err)
		return
	}
	if got := utf8.RuneCountInString(at.Text[:at.Offset]) + 1; got != column || !strings.Contains(at.Message, message) {
		t.Errorf("%q: column %d: %s, want column %d: …%s…", at.Text, got, at.Message, column, message)
	}
}

func TestParseRamp(t *testing.T) {
	good := map[string]load.Stages{
		"100/s..2000/s": {{Rate: 100}, {Rate: 2000, Length: 10 * time.Second}},
		"2000..100":     {{Rate: 2000}, {Rate: 100, Length: 10 * time.Second}},
		"0..60/m":       {{Rate: 0}, {Rate: 1, Length: 10 * time.Second}},
		"0.5/s..0/s":    {{Rate: 0.5}, {Rate: 0, Length: 10 * time.Second}},
	}
	for text, want := range good {
		got, err := parseRamp(text, 10*time.Second)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(vegeta.Pacer(want), got); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
	for _, c := range []struct {
		text    string
		column  int
		message string
	}{
		{"", 1, "two ends"},
		{"100/s", 6, "two ends"},
		{"..5/s", 1, "a rate begins"},
		{"5/s..", 6, "a rate begins"},
		{"5/s..-1/s", 6, "a rate begins"},
		{"5/s..6/x", 8, "the unit must be"},
		{"0..0/s", 1, "must leave 0"},
		{"5/s..1e9/s", 6, "10 million"},
	} {
		_, err := parseRamp(c.text, time.Second)
		refused(t, err, c.column, c.message)
	}
	if _, err := parseRamp("1/s..2/s", 0); exit.Code(err) != exit.Usage {
		t.Errorf("without a duration: %v, want a usage error", err)
	}
}

func TestParseSine(t *testing.T) {
	want := vegeta.SinePacer{
		Period: 30 * time.Second, Mean: vegeta.ConstantPacer{Freq: 500, Per: time.Second}, Amp: vegeta.ConstantPacer{Freq: 200, Per: time.Second},
	}
	for _, text := range []string{"500/s±200/s:30s", "500+-200/s:30s"} {
		got, err := parseSine(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(vegeta.Pacer(want), got); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
	for _, c := range []struct {
		text    string
		column  int
		message string
	}{
		{"", 1, "period is missing"},
		{"500/s±200/s", 12, "period is missing"},
		{"500/s:30s", 6, "swing is missing"},
		{"±200/s:30s", 1, "a rate begins"},
		{"500/s±:30s", 7, "a rate begins"},
		{"500/s±200/x:30s", 11, "the unit must be"},
		{"500/s±500/s:30s", 7, "less than the mean"},
		{"500/s±200/s:", 13, "not a duration"},
		{"500/s±200/s:-1s", 13, "longer than 0"},
	} {
		_, err := parseSine(c.text)
		refused(t, err, c.column, c.message)
	}
}

func TestParseStages(t *testing.T) {
	good := map[string]load.Stages{
		"500/s:10s,500/s:1m,0/s:5s": {{Rate: 500, Length: 10 * time.Second}, {Rate: 500, Length: time.Minute}, {Rate: 0, Length: 5 * time.Second}},
		"5:0s,5:1s":                 {{Rate: 5}, {Rate: 5, Length: time.Second}},
	}
	for text, want := range good {
		got, err := parseStages(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
	for _, c := range []struct {
		text    string
		column  int
		message string
	}{
		{"", 1, "a stage is"},
		{"5/s:1s,", 8, "a stage is"},
		{"5/s:1s,6/s", 11, "a stage is"},
		{"5/s:1s,x:1s", 8, "a rate begins"},
		{"5/s:1s,6/s:soon", 12, "not a duration"},
		{"5/s:-1s", 5, "longer than 0"},
		{"0/s:1s,0:1s", 1, "a rate of more than 0"},
		{"5/s:0s", 1, "must last"},
		{"5/s:1h,5/s:2562047h", 12, "at most 1000h"},
		{strings.Repeat("1:1s,", mostStages) + "1:1s", 5*mostStages + 1, "at most"},
	} {
		_, err := parseStages(c.text)
		refused(t, err, c.column, c.message)
	}
}

func TestParseAxis(t *testing.T) {
	good := map[string]benchreport.Axis{
		"timeout=100ms,1s":     {Name: "timeout", Values: []string{"100ms", "1s"}},
		"retries=0":            {Name: "retries", Values: []string{"0"}},
		"hedge=p95,max=2;none": {Name: "hedge", Values: []string{"p95,max=2", "none"}},
		"fault=error=5%,drop":  {Name: "fault", Values: []string{"error=5%", "drop"}},
	}
	for text, want := range good {
		got, err := parseAxis(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
	for _, c := range []struct {
		text    string
		column  int
		message string
		hint    string
	}{
		{"", 1, "a sweep is", ""},
		{"timeout", 8, "a sweep is", ""},
		{"timeout=", 9, "a value is missing", ""},
		{"timeout=1s,", 12, "a value is missing", ""},
		{"timeout=1s,2s,1s", 15, "there twice", ""},
		{"timeot=1s", 1, "cannot be swept", "did you mean timeout?"},
		{"save=a,b", 1, "cannot be swept", "there are "},
	} {
		_, err := parseAxis(c.text)
		refused(t, err, c.column, c.message)
		if hint := exit.Hint(err); !strings.Contains(hint, c.hint) || c.hint == "" && hint != "" {
			t.Errorf("%s: hint %q, want %q", c.text, hint, c.hint)
		}
	}
}

// FuzzParts: whatever is typed for a flag that is read in parts works, or is a
// usage error that points into it; a curve that works ends.
func FuzzParts(f *testing.F) {
	for _, text := range []string{
		"100/s..2000/s", "500/s±200/s:30s", "5+-2:1s", "500/s:10s,0/s:5s", "timeout=1s,2s", "fault=drop;error=5%", "5/100ms", "1e3/h", "..", "±:", ",:=", "\xff:1s",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		readers := map[string]func() error{
			"rate":   func() error { _, err := parseRate(text); return err },
			"ramp":   func() error { _, err := parseRamp(text, time.Second); return err },
			"sine":   func() error { _, err := parseSine(text); return err },
			"sweep":  func() error { _, err := parseAxis(text); return err },
			"budget": func() error { _, _, err := parseBudget(text); return err },
			"fault":  func() error { _, err := parseFault("--fault", text); return err },
			"stages": func() error {
				stages, err := parseStages(text)
				if err == nil && (stages.Length() <= 0 || len(stages) == 0) {
					return fmt.Errorf("%q has no length: %v", text, stages)
				}
				return err
			},
			"threshold": func() error { _, err := parseThreshold(text); return err },
		}
		for name, read := range readers {
			err := read()
			var at exit.Pointer
			if err != nil && (exit.Code(err) != exit.Usage || !errors.As(err, &at) || at.Offset > len(at.Text)) {
				t.Errorf("--%s %q: %v", name, text, err)
			}
		}
	})
}
