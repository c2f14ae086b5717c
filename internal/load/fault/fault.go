package fault

import (
	"slices"
	"strings"
	"time"
)

// Kind is the effect of a fault.
type Kind string

// The kinds. Those with a share affect this share of the messages they match. A
// request is a message with an ID, and an event is one without.
const (
	// Latency delays a request or event by Delay, plus or minus up to Spread
	// (uniform). Messages may overtake one another.
	Latency Kind = "latency"
	// Error replies to a request with an error. The service does not receive it.
	Error Kind = "error"
	// Drop loses a request or event.
	Drop Kind = "drop"
	// DropReply delivers a request and loses its complete reply.
	DropReply Kind = "drop-reply"
	// Duplicate delivers a request or event twice. The second one has an ID created
	// by the proxy, and its reply is lost.
	Duplicate Kind = "duplicate"
	// Reorder holds a request or event until the next one of its connection has
	// overtaken it, for at most one second.
	Reorder Kind = "reorder"
	// Reset resets the client's connection (RST) instead of delivering a request
	// or event. Everything else in transit on the connection is lost.
	Reset Kind = "reset"
	// Blackhole loses every message, in both directions. Connections stay open,
	// and new ones are accepted.
	Blackhole Kind = "blackhole"
	// Bandwidth limits the bytes per second in each direction, for all connections
	// together. A message is delivered when its last byte has passed.
	Bandwidth Kind = "bandwidth"
	// Cut closes the connection of a request in the middle of the first packet
	// of its reply.
	Cut Kind = "cut"
	// Stall holds every message, in both directions, and delivers all of them in
	// order when the window ends, like a process that was paused.
	Stall Kind = "stall"
	// Pause pauses the service's process. It can be parsed, but a proxy rejects it.
	Pause Kind = "pause"
)

// The defaults of an injected error.
const (
	DefaultStatus  = 503
	DefaultMessage = "injected by msctl"
)

// Fault describes an effect on messages, which messages it affects, and when.
type Fault struct {
	Kind Kind
	// Share is the share of the matching messages that is affected, greater than 0
	// and at most 1; 0 means 1. Blackhole, Bandwidth, Stall, and Pause have none.
	Share float64
	// Delay and Spread belong to Latency.
	Delay, Spread time.Duration
	// Status and Message belong to Error; 0 means DefaultStatus, and "" means
	// DefaultMessage.
	Status  int
	Message string
	// BytesPerSecond belongs to Bandwidth.
	BytesPerSecond int64
	// First limits the fault to the first messages that it matches, in its window if
	// it has one; 0 means no limit.
	First int
	// Pattern is the route of the pattern to which the fault is limited
	// (micro.Pattern.Route); "" means all messages.
	Pattern string
	// Start and Length are its window on the run's time axis; a Length of 0 means
	// until the end.
	Start, Length time.Duration
}

// Trigger reports whether the fault has a window. If so, a verdict is about the
// time after it.
func (f Fault) Trigger() bool { return f.Start > 0 || f.Length > 0 }

// ForProcess reports whether the fault affects the service's process instead of its
// messages. A proxy cannot inject such a fault.
func (f Fault) ForProcess() bool { return f.Kind == Pause }

// trait is a property of a kind.
type trait int

const (
	takesShare    trait = 1 << iota // "=20%" after the kind
	takesDelay                      // "=200ms±50ms", and the option share
	takesRate                       // "=64KB/s"
	takesError                      // the options status and message
	takesFirst                      // the option first
	takesPattern                    // the option pattern
	needsLength                     // requires a length
	needsMessages                   // cannot be applied to a stream of bytes
	needsAnswer                     // matches only requests
	bothWays                        // also affects replies
)

// kinds lists all kinds, the most useful first.
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

// traits returns the kind's properties; ok is false for an unknown kind.
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

// Kinds returns the names of all kinds, the most useful first.
func Kinds() []string {
	names := make([]string, 0, len(kinds))
	for _, known := range kinds {
		names = append(names, string(known.kind))
	}
	return names
}

// normal returns f with explicit defaults.
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

// listKinds lists all kinds in one line, for error messages.
func listKinds() string {
	names := Kinds()
	slices.Sort(names)
	return strings.Join(names, ", ")
}
