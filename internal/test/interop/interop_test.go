package interop_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/conformance"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Timeouts of calls: one that gets an answer, and one that gets none.
const (
	answerTimeout = 60 * time.Second
	silence       = 700 * time.Millisecond
)

// broker describes a kind of broker.
type broker struct {
	name       string // for the programs in testdata/nest
	start      func(testing.TB, ...string) *testenv.Broker
	listen     func(place) conformance.Listener
	dial       func(place) micro.Conn
	separate   bool // queues separate services, so that they can share a broker
	wildFrom10 bool // NestJS 10 supports wildcards
}

func TestRabbitMQ(t *testing.T) { run(t, rabbit()) }
func TestRedis(t *testing.T)    { run(t, redis()) }
func TestNATS(t *testing.T)     { run(t, nats()) }

// run plays all scenarios with each version of NestJS over one kind of broker.
func run(t *testing.T, b broker) {
	t.Helper()
	t.Parallel()
	common := ""
	if b.separate {
		common = b.start(t).URL
	}
	for _, version := range testenv.LiveVersions() {
		t.Run(string(version), func(t *testing.T) {
			testenv.NeedNest(t, version)
			t.Parallel()
			h := setup{b: b, version: version, url: common}
			for _, p := range h.open(t) {
				t.Run(p.name, func(t *testing.T) {
					for _, s := range scenarios() {
						t.Run(s.name, func(t *testing.T) { p.play(t, h, s, p.plain) })
					}
					t.Run("metadata", func(t *testing.T) { p.playMetadata(t, h) })
					for _, s := range wildcards(b.name) {
						if p.wild != nil {
							t.Run("wildcards: "+s.name, func(t *testing.T) { p.play(t, h, s, p.wild) })
						}
					}
				})
			}
		})
	}
}

// pair is a client and a server, each NestJS or ours.
type pair struct {
	name        string // client-server
	plain, wild *link
}

// link is a client that is connected to a service.
type link struct {
	caller  caller
	service service
	barrier *testenv.Call // a request that the service answers, or nil
}

// caller makes calls and returns what it observes.
type caller interface {
	call(ctx context.Context, c testenv.Call) []string
}

// service reports the runs of its handlers.
type service interface {
	handled() []string
}

// play makes the call of a scenario and compares what both ends observe.
func (p pair) play(t *testing.T, h setup, s scenario, with *link) {
	t.Helper()
	where := fmt.Sprintf("%s/%s/%s", p.name, h.b.name, h.version)
	want, runs := s.at(where)
	limit := answerTimeout
	if slices.Contains(want, `{"error":`+timedOut+`}`) {
		limit = silence
	}
	before := len(with.service.handled())
	if got := with.call(t, s.call, limit); !cmp.Equal(want, got) {
		t.Errorf("%s: the caller observed (-want +got):\n%s", where, shortDiff(want, got))
	}
	got := with.runsSince(t, before, len(runs))
	if want := slices.Sorted(slices.Values(runs)); !slices.Equal(want, got) {
		t.Errorf("%s: handlers ran (-want +got):\n%s", where, shortDiff(want, got))
	}
}

func (l *link) call(t *testing.T, c testenv.Call, limit time.Duration) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return l.caller.call(ctx, c)
}

// barrierMark is the suffix of the run of a barrier.
const barrierMark = ` "barrier"`

// runsSince returns the runs of handlers, without the first before ones, sorted. It waits for n runs, and with a barrier
// for the runs of all messages that have been sent.
func (l *link) runsSince(t *testing.T, before, n int) []string {
	t.Helper()
	count := func(barrier bool) (n int) {
		for _, run := range l.service.handled()[before:] {
			if strings.HasSuffix(run, barrierMark) == barrier {
				n++
			}
		}
		return n
	}
	testenv.Poll(answerTimeout, func() bool { return count(false) >= n })
	if l.barrier != nil { // the service handles messages in order, so earlier ones have begun
		l.call(t, *l.barrier, answerTimeout)
		testenv.Poll(answerTimeout, func() bool { return count(true) > 0 })
	}
	runs := slices.Clone(l.service.handled()[before:])
	runs = slices.DeleteFunc(runs, func(run string) bool { return strings.HasSuffix(run, barrierMark) })
	slices.Sort(runs)
	return runs
}

// shortDiff returns a diff with truncated lines.
func shortDiff(want, got []string) string {
	cut := func(lines []string) []string {
		var out []string
		for _, line := range lines {
			if len(line) > 300 {
				line = fmt.Sprintf("%s… (%d bytes)", line[:300], len(line))
			}
			out = append(out, line)
		}
		return out
	}
	return cmp.Diff(cut(want), cut(got))
}
