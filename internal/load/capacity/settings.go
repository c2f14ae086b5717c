package capacity

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// The limits of a capacity, per second.
const (
	MaxRate = 100_000
	MinRate = 1.0 / 3600
)

// MaxStall is the length of the longest stall that is parsed.
const MaxStall = time.Hour

// For returns the distribution of the same shape with which so many workers have a
// capacity of rate requests per second.
func (d Distribution) For(workers int, rate float64) Distribution {
	return d.WithMean(time.Duration(math.Round(float64(workers) / rate * float64(time.Second))))
}

// PlannedStall is a stall that starts at a time after the service.
type PlannedStall struct{ After, Length time.Duration }

// ParseStall parses LENGTH@TIME, such as 4s@10s. The error is a *SyntaxError.
func ParseStall(text string) (s PlannedStall, err error) {
	length, after, found := strings.Cut(text, "@")
	if s.Length, err = ParseStallLength(length); err != nil {
		return s, &SyntaxError{text, 0, "a stall must start with its length, greater than 0 and at most 1h: 4s@10s"}
	}
	if !found {
		return s, &SyntaxError{text, len(text), "missing @ and the time after the start: 4s@10s"}
	}
	if s.After, err = time.ParseDuration(after); err != nil || s.After < 0 {
		return s, &SyntaxError{text, len(length) + 1, "invalid time " + strconv.Quote(after) + ": use a duration after the start, such as 10s"}
	}
	return s, nil
}

// ParseStallLength parses the length of a stall: greater than 0, and at most
// MaxStall. The error is a *SyntaxError.
func ParseStallLength(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > MaxStall {
		return 0, &SyntaxError{text, 0, "a stall must last more than 0 and at most 1h, such as 4s"}
	}
	return d, nil
}
