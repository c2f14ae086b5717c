// Package conformance is a test suite for transports. It checks what a program may
// rely on, whichever transport carries its messages. Run runs the same scenarios for
// every Transport. Facts describes all differences between transports.
//
// Each scenario starts its own server on a new Link, calls it through the public API,
// and stops it. At the end of the suite no goroutine may be left.
package conformance

import (
	"cmp"
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
)

// Transport is a transport under test.
type Transport struct {
	// Open returns a new link. It is closed when the test ends.
	Open  func(tb testing.TB) Link
	Facts Facts
	// Timeout limits how long a scenario waits for something; 0 is one minute. It is
	// long because the machine may be busy. No scenario depends on shorter times.
	Timeout time.Duration
}

// Link connects servers and clients: a port, a queue, or a broker.
type Link interface {
	// Listen returns a listener for one server.
	Listen() Listener
	// Client returns a client of the link's servers. The caller closes it.
	Client(opts ...micro.ClientOption) *micro.Client
}

// Listener is a listener that reports when it is ready.
type Listener interface {
	micro.Listener
	// Ready waits until the server receives messages. It returns ctx's error if ctx
	// ends first.
	Ready(ctx context.Context) error
}

// Facts describes how a transport differs from the others. The zero value describes
// TCP.
type Facts struct {
	// Unknown is the error of a request without a handler if a server is running. Nil
	// is micro.ErrNoHandler, which the server returns.
	Unknown error
	// Unserved is the error of a request if no server is running. Nil is
	// micro.ErrUnreachable.
	Unserved error
	// UnservedAtOnce reports whether Unserved is returned long before the deadline.
	UnservedAtOnce bool
	// Replicas is what several servers of one link do.
	Replicas Replicas
	// Redelivers reports whether an event is redelivered if its handler fails.
	Redelivers bool
	// MaxPacket is the size in bytes from which on a packet is rejected by its sender.
	// 0 is a limit above anything that the suite sends.
	MaxPacket int
	// Refuses returns why the transport cannot carry a pattern, or "" if it can. Nil
	// refuses none.
	Refuses func(micro.Pattern) string
	// Ambiguous reports whether other patterns share the address of a pattern, which
	// may be a wildcard. Nil reports false.
	Ambiguous func(micro.Pattern) bool
}

// Replicas is how several servers of one link handle a message.
type Replicas int

const (
	OneServer Replicas = iota // a link has one server
	Shared                    // one of the servers handles it
	Repeated                  // every server handles it
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

// scenarios returns the scenarios that apply to a transport with these facts.
func scenarios(f Facts) []scenario {
	all := common()
	if f.MaxPacket > 0 {
		all = append(all, scenario{"oversized payloads", tooLarge})
	}
	if f.Replicas != OneServer {
		all = append(all, scenario{"replicas", replicas})
	}
	if !f.Redelivers { // redelivery runs all handlers of the event again
		all = append(all, scenario{"two event handlers", twoEventHandlers})
	}
	return all
}

func common() []scenario {
	return []scenario{
		{"values", values},
		{"typed values", typedValues},
		{"no value", noValue},
		{"text", texts},
		{"numbers and depth", numbersAndDepth},
		{"not JSON", notJSON},
		{"streams", streams},
		{"a stream that fails", streamThenError},
		{"a stream that the caller leaves", streamLeft},
		{"a stream with gaps", streamGaps},
		{"errors", failures},
		{"error chains", errorChains},
		{"patterns", patterns},
		{"patterns that the transport refuses", refusedPatterns},
		{"equivalent patterns", patternLayouts},
		{"unknown patterns", unknown},
		{"events", events},
		{"an event handler that fails", failingEvent},
		{"a request to event handlers", requestToEvents},
		{"an event to a message handler", eventToMessage},
		{"large payloads", largePayloads},
		{"metadata", metadata},
		{"no metadata of the client's own", ownMetadata},
		{"a second hop", secondHop},
		{"deadlines", deadlines},
		{"expired work", expired},
		{"messages that are late before they are sent", overtaken},
		{"attempts", attempts},
		{"interceptors, guards, pipes, and filters", chain},
		{"guards", guards},
		{"timeouts", timeouts},
		{"late answers", lateAnswers},
		{"cancel", cancel},
		{"close", closing},
		{"many calls at once", manyCalls},
		{"many patterns at once", manyPatterns},
		{"many streams at once", manyStreams},
		{"no server", unserved},
		{"drain", drain},
		{"drain of events", drainEvents},
		{"drain under load", drainUnderLoad},
		{"answers of all servers", answersOfAll},
		{"health and description", describe},
		{"trace", trace},
	}
}

// Run runs all scenarios for a transport, and then checks that they have left no
// goroutines.
func Run(t *testing.T, tr Transport) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	for _, s := range scenarios(tr.Facts) {
		t.Run(s.name, func(t *testing.T) { s.run(&env{t, tr, tr.Open(t), cmp.Or(tr.Timeout, time.Minute)}) })
	}
}
