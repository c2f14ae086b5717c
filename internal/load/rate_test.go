package load_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
)

// badText is a text that a parser rejects, with the column and a part of the message.
type badText struct {
	text    string
	column  int
	message string
}

// refuse wants a syntax error for each text.
func refuse(t *testing.T, parse func(text string) error, texts []badText) {
	t.Helper()
	for _, want := range texts {
		err := parse(want.text)
		var at *load.SyntaxError
		if !errors.As(err, &at) {
			t.Errorf("%q: %v, want a syntax error", want.text, err)
			continue
		}
		column := utf8.RuneCountInString(want.text[:at.Offset]) + 1
		if column != want.column || !strings.Contains(at.Message, want.message) {
			t.Errorf("%q: column %d: %s, want column %d: …%s…", want.text, column, at.Message, want.column, want.message)
		}
	}
}

func TestParseRate(t *testing.T) {
	good := map[string]vegeta.ConstantPacer{
		"500/s":   {Freq: 500, Per: time.Second},
		"500":     {Freq: 500, Per: time.Second},
		"30000/m": {Freq: 30000, Per: time.Minute},
		"5/100ms": {Freq: 5, Per: 100 * time.Millisecond},
		"2/h":     {Freq: 2, Per: time.Hour},
		"1.5/s":   {Freq: 1500, Per: 1000 * time.Second},
		"1e3/s":   {Freq: 1000, Per: time.Second},
	}
	for text, want := range good {
		got, err := load.ParseRate(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "/s", "fast", "0/s", "-1/s", "NaN/s", "Inf/s", "5/", "5/x", "5/0s", "5/-1s", "5/48h", "1e8/s", "0.0001/s"} {
		if got, err := load.ParseRate(text); !errors.As(err, new(*load.SyntaxError)) {
			t.Errorf("%q: %v, %v, want a syntax error", text, got, err)
		}
	}
}

func TestParseRamp(t *testing.T) {
	good := map[string][2]float64{
		"100/s..2000/s": {100, 2000},
		"2000..100":     {2000, 100},
		"0..60/m":       {0, 1},
		"0.5/s..0/s":    {0.5, 0},
	}
	for text, want := range good {
		from, to, err := load.ParseRamp(text)
		if err != nil || from != want[0] || to != want[1] {
			t.Errorf("%s: %v to %v, %v, want %v", text, from, to, err, want)
		}
	}
	refuse(t, func(text string) error { _, _, err := load.ParseRamp(text); return err }, []badText{
		{"", 1, "a ramp is"},
		{"100/s", 6, "a ramp is"},
		{"..5/s", 1, "a rate must be a number"},
		{"5/s..", 6, "a rate must be a number"},
		{"5/s..-1/s", 6, "a rate must be a number"},
		{"5/s..6/x", 8, "the unit must be"},
		{"0..0/s", 1, "greater than 0"},
		{"5/s..1e9/s", 6, "10 million"},
	})
}

func TestParseSine(t *testing.T) {
	want := vegeta.SinePacer{
		Period: 30 * time.Second, Mean: vegeta.ConstantPacer{Freq: 500, Per: time.Second}, Amp: vegeta.ConstantPacer{Freq: 200, Per: time.Second},
	}
	for _, text := range []string{"500/s±200/s:30s", "500+-200/s:30s"} {
		got, err := load.ParseSine(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
	refuse(t, func(text string) error { _, err := load.ParseSine(text); return err }, []badText{
		{"", 1, "missing period"},
		{"500/s±200/s", 12, "missing period"},
		{"500/s:30s", 6, "missing swing"},
		{"±200/s:30s", 1, "a rate must be a number"},
		{"500/s±:30s", 7, "a rate must be a number"},
		{"500/s±200/x:30s", 11, "the unit must be"},
		{"500/s±500/s:30s", 7, "less than the mean"},
		{"500/s±200/s:", 13, "invalid duration"},
		{"500/s±200/s:-1s", 13, "greater than 0"},
	})
}

// maxStages is how many stages a load can have.
const maxStages = 1000

func TestParseStages(t *testing.T) {
	good := map[string]load.Stages{
		"500/s:10s,500/s:1m,0/s:5s": {{Rate: 500, Length: 10 * time.Second}, {Rate: 500, Length: time.Minute}, {Rate: 0, Length: 5 * time.Second}},
		"5:0s,5:1s":                 {{Rate: 5}, {Rate: 5, Length: time.Second}},
	}
	for text, want := range good {
		got, err := load.ParseStages(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
	refuse(t, func(text string) error { _, err := load.ParseStages(text); return err }, []badText{
		{"", 1, "a stage is"},
		{"5/s:1s,", 8, "a stage is"},
		{"5/s:1s,6/s", 11, "a stage is"},
		{"5/s:1s,x:1s", 8, "a rate must be a number"},
		{"5/s:1s,6/s:soon", 12, "invalid duration"},
		{"5/s:-1s", 5, "greater than 0"},
		{"0/s:1s,0:1s", 1, "a rate greater than 0"},
		{"5/s:0s", 1, "a length greater than 0"},
		{"5/s:1h,5/s:2562047h", 12, "at most 1000h"},
		{strings.Repeat("1:1s,", maxStages) + "1:1s", 5*maxStages + 1, "at most"},
	})
}

// FuzzRates: every text is a rate, or a syntax error that points into it.
func FuzzRates(f *testing.F) {
	for _, text := range []string{"100/s..2000/s", "500/s±200/s:30s", "5+-2:1s", "500/s:10s,0/s:5s", "5/100ms", "1e3/h", "..", "±:", ",:=", "\xff:1s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, parse := range map[string]func() error{
			"rate": func() error { _, err := load.ParseRate(text); return err },
			"ramp": func() error { _, _, err := load.ParseRamp(text); return err },
			"sine": func() error { _, err := load.ParseSine(text); return err },
			"stages": func() error {
				stages, err := load.ParseStages(text)
				if err == nil && (stages.Length() <= 0 || len(stages) == 0) {
					return fmt.Errorf("%q has no length: %v", text, stages)
				}
				return err
			},
		} {
			var at *load.SyntaxError
			if err := parse(); err != nil && (!errors.As(err, &at) || at.Offset > len(text)) {
				t.Errorf("%s %q: %v", name, text, err)
			}
		}
	})
}
