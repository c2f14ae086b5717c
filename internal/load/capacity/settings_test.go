package capacity_test

import (
	"errors"
	"testing"

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
