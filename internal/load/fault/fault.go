package fault

import (
	"slices"
	"strings"
	"time"
)

// Kind is what a fault does.
type Kind string

// The kinds. Those with a share hit as many of the messages they match; a
// request is a message with an id, an event one without.
const (
	// Latency delivers a request or event later, by Delay, more or less by up to
	// Spread (uniform). Messages may overtake one another.
	Latency Kind = "latency"
	// Error answers a request with an error in the service's place, which does
	// not see it.
	Error Kind = "error"
	// Drop swallows a request or event.
	Drop Kind = "drop"
	// DropReply delivers a request and swallows its whole answer.
	DropReply Kind = "drop-reply"
	// Duplicate delivers a request or event twice. The second has an id of the
	// proxy's own, and its answer is swallowed.
	Duplicate Kind = "duplicate"
	// Reorder holds a request or event until the next one of its connection has
	// overtaken it, a second at the longest.
	Reorder Kind = "reorder"
	// Reset resets the client's connection (RST) instead of delivering a request
	// or event. What else waits on the connection is lost.
	Reset Kind = "reset"
	// Blackhole swallows every message, in both directions. Connections stay
	// open, and new ones are accepted.
	Blackhole Kind = "blackhole"
	// Bandwidth is a link of so many bytes a second in each direction, which all
	// connections share. A message is delivered when its last byte would be.
	Bandwidth Kind = "bandwidth"
	// Cut closes the connection of a request in the middle of the first packet
	// of its answer.
	Cut Kind = "cut"
	// Stall holds every message, in both directions, and delivers all in order
	// when the window ends, as a process does that was stopped for a while.
	Stall Kind = "stall"
	// Pause stops the service's process for a while. A proxy cannot do it and
	// refuses it: it is here to be parsed.
	Pause Kind = "pause"
)

// What an injected error says unless the fault says otherwise.
const (
	DefaultStatus  = 503
	DefaultMessage = "injected by msctl"
)

// Fault is what is done to messages, to how many of them, and when.
type Fault struct {
	Kind Kind
	// Share is how many of the matching messages are hit, more than 0 and at
	// most 1; 0 is 1. Blackhole, Bandwidth, Stall and Pause have none.
	Share float64
	// Delay and Spread are of Latency.
	Delay, Spread time.Duration
	// Status and Message are of Error; 0 is DefaultStatus, "" DefaultMessage.
	Status  int
	Message string
	// BytesPerSecond is of Bandwidth.
	BytesPerSecond int64
	// First bounds the fault to the first messages it matches, in its window if
	// it has one; 0 is all.
	First int
	// Pattern is the canonical route of the pattern it is for
	// (micro.Pattern.Route); "" is all messages.
	Pattern string
	// Start and Length are its window on the run's time axis; a Length of 0 goes
	// on until the end.
	Start, Length time.Duration
}

// Trigger reports whether the fault has a window: then what comes after the
// window is what a verdict is about.
func (f Fault) Trigger() bool { return f.Start > 0 || f.Length > 0 }

// ForProcess reports whether the fault is done to the service's process, and not
// to its messages: then it is not for a proxy.
func (f Fault) ForProcess() bool { return f.Kind == Pause }

// trait is what sets a kind apart from others.
type trait int

const (
	takesShare    trait = 1 << iota // "=20%" behind the kind
	takesDelay                      // "=200ms±50ms", and the modifier share
	takesRate                       // "=64KB/s"
	takesError                      // the modifiers status and message
	takesFirst                      // the modifier first
	takesPattern                    // the modifier pattern
	needsLength                     // is nothing without an end
	needsMessages                   // means nothing to a stream of bytes
	needsAnswer                     // matches requests alone
	bothWays                        // is done to replies too
)

// kinds are all of them, in the order in which people should learn of them.
var kinds = []struct {
	kind   Kind
	traits trait
}{
	{Latency, takesDelay | takesFirst | takesPattern},
	{Error, takesShare | takesError | takesFirst | takesPattern | needsMessages | needsAnswer},
	{Drop, takesShare | takesFirst | takesPattern | needsMessages},
	{DropReply, takesShare | takesFirst | takesPattern | needsMessages | needsAnswer},
	{Duplicate, takesShare | takesFirst | takesPattern | needsMessages},
	{Reorder, takesShare | takesFirst | takesPattern | needsMessages},
	{Reset, takesShare | takesFirst | takesPattern},
	{Cut, takesShare | takesFirst | takesPattern | needsAnswer},
	{Blackhole, takesPattern | bothWays},
	{Stall, takesPattern | bothWays | needsLength},
	{Bandwidth, takesRate | bothWays},
	{Pause, needsLength},
}

// traits returns what the kind is like; ok is false for an unknown one.
func (k Kind) traits() (t trait, ok bool) {
	for _, known := range kinds {
		if known.kind == k {
			return known.traits, true
		}
	}
	return 0, false
}

func (k Kind) has(t trait) bool {
	own, _ := k.traits()
	return own&t != 0
}

// Kinds returns the names of all kinds, the most used first.
func Kinds() []string {
	names := make([]string, 0, len(kinds))
	for _, known := range kinds {
		names = append(names, string(known.kind))
	}
	return names
}

// normal returns f with its defaults written out.
func (f Fault) normal() Fault {
	if f.Share == 0 {
		f.Share = 1
	}
	if f.Kind == Error && f.Status == 0 {
		f.Status = DefaultStatus
	}
	if f.Kind == Error && f.Message == "" {
		f.Message = DefaultMessage
	}
	return f
}

// listKinds is all kinds in one line, for messages.
func listKinds() string {
	names := Kinds()
	slices.Sort(names)
	return strings.Join(names, ", ")
}
