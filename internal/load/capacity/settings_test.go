package capacity_test

import (
	"errors"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load/capacity"
)

func FuzzParseStall(f *testing.F) {
	for _, text := range []string{"4s@10s", "4s", "@", "1h@0s", "-1s@1s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		stall, err := capacity.ParseStall(text)
		var at *capacity.SyntaxError
		switch {
		case err != nil && (!errors.As(err, &at) || at.Offset > len(text)):
			t.Fatalf("%q: %v does not point into the text", text, err)
		case err == nil && (stall.Length <= 0 || stall.Length > capacity.MaxStall || stall.After < 0):
			t.Fatalf("%q: %+v", text, stall)
		}
	})
}

func FuzzParseRate(f *testing.F) {
	for _, text := range []string{"100/s", "100", "6000/m", "1.5/100ms", "1e9/s", "NaN/s", "/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := capacity.ParseRate(text)
		var at *capacity.SyntaxError
		switch {
		case err != nil && (!errors.As(err, &at) || at.Offset > len(text)):
			t.Fatalf("%q: %v does not point into the text", text, err)
		case err == nil && !(rate >= capacity.MinRate && rate <= capacity.MaxRate):
			t.Fatalf("%q: %v", text, rate)
		}
		if mean := capacity.Constant(time.Second).For(1, rate).Mean(); err == nil && (mean <= 0 || mean > time.Hour) {
			t.Fatalf("%q: a service time of %v", text, mean)
		}
	})
}
