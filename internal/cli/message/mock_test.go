package message

import (
	"testing"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/capacity"
)

func TestMockTimes(t *testing.T) {
	for _, tt := range []struct {
		times, capacity string // "" for not given
		workers         int
		want            string
	}{
		{"", "", 1, "10ms"},
		{"", "200/s", 1, "5ms"},
		{"", "200/s", 4, "20ms"},
		{"", "6000/m", 1, "10ms"},
		{"3ms", "", 1, "3ms"},
		{"0s", "", 1, "0s"},
		{"exponential", "", 2, "exponential:20ms"},
		{"exponential:3ms", "", 2, "exponential:3ms"},
		{"exponential:3ms", "50/s", 1, "exponential:20ms"},
		{"uniform", "50/s", 1, "uniform:10ms-30ms"},
		{"bimodal:5ms,95%,100ms", "1/s", 1, "bimodal:512.820513ms,95%,10.256410256s"},
	} {
		o := mockOptions{serviceTime: "constant", capacity: "100/s", workers: tt.workers}
		if tt.times != "" {
			o.serviceTime = tt.times
		}
		if tt.capacity != "" {
			o.capacity = tt.capacity
		}
		got, err := o.times(tt.capacity != "")
		if err != nil || got.String() != tt.want {
			t.Errorf("--service-time %q --capacity %q with %d workers: %s, %v; want %s", tt.times, tt.capacity, tt.workers, got, err, tt.want)
		}
	}
}

func FuzzParseCapacity(f *testing.F) {
	for _, text := range []string{"100/s", "100", "6000/m", "1.5/100ms", "1e9/s", "NaN/s", "/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := parseCapacity("--capacity", text)
		switch {
		case err != nil && exit.Code(err) != exit.Usage:
			t.Fatalf("%q: %v is not a usage error", text, err)
		case err == nil && !(rate >= capacity.MinRate && rate <= capacity.MaxRate):
			t.Fatalf("%q: %v", text, rate)
		}
		if err != nil {
			return
		}
		if mean := capacity.Constant(time.Second).For(1, rate).Mean(); mean <= 0 || mean > time.Hour {
			t.Fatalf("%q: a service time of %v", text, mean)
		}
	})
}
