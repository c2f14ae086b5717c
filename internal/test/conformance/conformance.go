// Package conformance is the one test suite of all transports: what a program
// may rely on, whichever of them carries its messages. Run runs it unchanged over
// a Transport; where transports differ, Facts says so, and nowhere else.
//
// Each scenario starts its own server on a place of its own, speaks to it through
// the public API, and stops it. When the suite is over no goroutine is left.
package conformance

import (
	"cmp"
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
)

// Transport is one way for messages to travel.
type Transport struct {
	// Open makes a place where servers and clients meet that nobody uses yet. It
	// goes when the test ends.
	Open  func(tb testing.TB) Link
	Facts Facts
	// Patience bounds what must happen soon; 0 is 30 s. It is long, since much
	// else may run on the machine: no scenario asserts on timings much tighter.
	Patience time.Duration
}

// Link is one place where servers and clients meet: a port, a queue, a broker.
type Link interface {
	// Listen returns a listener for one server.
	Listen() Listener
	// Client returns a client of whatever listens there. The caller closes it.
	Client(opts ...micro.ClientOption) *micro.Client
}

// Listener is a listener that can be waited for.
type Listener interface {
	micro.Listener
	// Ready returns when a message sent now is handled, or with ctx's error.
	Ready(ctx context.Context) error
}

// Facts are what a transport does in its own way. The zero value is what TCP does.
type Facts struct {
	// Unknown is what a request ends with that no handler is registered for, while
	// a server is there: nil stands for micro.ErrNoHandler, which the server
	// itself says.
	Unknown error
	// Unserved is what a request ends with while no server is there at all: nil
	// stands for micro.ErrUnreachable.
	Unserved error
	// UnservedAtOnce tells that Unserved comes long before the deadline.
	UnservedAtOnce bool
	// Replicas tells what several servers of one place do.
	Replicas Replicas
	// Redelivers tells that an event whose handler failed comes again.
	Redelivers bool
	// MaxPacket is the size in bytes that no packet may have: it is refused at
	// once where it is made. 0 is more than the suite would send.
	MaxPacket int
	// Refuses tells why a pattern cannot travel, "" for one that can. Nil refuses
	// none.
	Refuses func(micro.Pattern) string
	// Ambiguous tells whether the address that a pattern travels by is that of
	// others too, of a wildcard say. Nil is never.
	Ambiguous func(micro.Pattern) bool
}

// Replicas is what becomes of a message when several servers are there for it.
type Replicas int

const (
	OneServer Replicas = iota // there is one server
	Shared                    // one of them handles it
	Repeated                  // each of them handles it
)

func (f Facts) unknown() error {
	if f.Unknown == nil {
		return micro.ErrNoHandler
	}
	return f.Unknown
}

func (f Facts) unserved() error {
	if f.Unserved == nil {
		return micro.ErrUnreachable
	}
	return f.Unserved
}

func (f Facts) refuses(p micro.Pattern) bool { return f.Refuses != nil && f.Refuses(p) != "" }

func (f Facts) ambiguous(p micro.Pattern) bool { return f.Ambiguous != nil && f.Ambiguous(p) }

// scenario is one part of the suite.
type scenario struct {
	name string
	run  func(*env)
}

// scenarios are those that apply to a transport with these facts.
func scenarios(f Facts) []scenario {
	all := everywhere()
	if f.MaxPacket > 0 {
		all = append(all, scenario{"too large payloads", tooLarge})
	}
	if f.Replicas != OneServer {
		all = append(all, scenario{"replicas", replicas})
	}
	if !f.Redelivers { // a failed event comes again, to all of its handlers
		all = append(all, scenario{"two event handlers", twoEventHandlers})
	}
	return all
}

func everywhere() []scenario {
	return []scenario{
		{"values", values},
		{"typed values", typedValues},
		{"no value", noValue},
		{"text", texts},
		{"numbers and depth", numbersAndDepth},
		{"not JSON", notJSON},
		{"streams", streams},
		{"a stream that fails", streamThenError},
		{"a stream left early", streamLeft},
		{"a stream with gaps", streamGaps},
		{"errors", failures},
		{"error chains", errorChains},
		{"patterns", patterns},
		{"patterns that cannot travel", refusedPatterns},
		{"patterns written another way", patternLayouts},
		{"unknown patterns", unknown},
		{"events", events},
		{"an event handler that fails", failingEvent},
		{"a request to event handlers", requestToEvents},
		{"an event to a message handler", eventToMessage},
		{"large payloads", largePayloads},
		{"metadata", metadata},
		{"a second hop", secondHop},
		{"deadlines", deadlines},
		{"expired work", expired},
		{"attempts", attempts},
		{"interceptors, guards, pipes and filters", chain},
		{"guards", guards},
		{"timeouts", timeouts},
		{"late answers", lateAnswers},
		{"cancel", cancel},
		{"close", closing},
		{"many calls at once", manyCalls},
		{"many patterns at once", manyPatterns},
		{"streams at once", manyStreams},
		{"unserved", unserved},
		{"drain", drain},
		{"drain of events", drainEvents},
		{"drain under load", drainUnderLoad},
		{"the answers of all", answersOfAll},
		{"health and description", describe},
		{"trace", trace},
	}
}

// Run runs the suite over a transport, scenario by scenario, and then looks for
// goroutines that it has left behind.
func Run(t *testing.T, tr Transport) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	for _, s := range scenarios(tr.Facts) {
		t.Run(s.name, func(t *testing.T) { s.run(&env{t, tr, tr.Open(t), cmp.Or(tr.Patience, 30*time.Second)}) })
	}
}
