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

// The limits of a call: one that is answered, and one that is known to be in vain.
const (
	patience = 60 * time.Second
	inVain   = 700 * time.Millisecond
)

// broker is what the tests know of a kind of broker.
type broker struct {
	name       string // as testdata/nest has it
	start      func(testing.TB, ...string) *testenv.Broker
	listen     func(place) conformance.Listener
	dial       func(place) micro.Conn
	separate   bool // queues keep services apart, so that one broker does for all
	wildFrom10 bool // NestJS 10 has wildcards too
}

func TestRabbitMQ(t *testing.T) { run(t, rabbit()) }
func TestRedis(t *testing.T)    { run(t, redis()) }
func TestNATS(t *testing.T)     { run(t, nats()) }

// run plays all scenarios over one kind of broker, every version of NestJS by itself.
func run(t *testing.T, b broker) {
	t.Helper()
	common := ""
	if b.separate {
		common = b.start(t).URL
	}
	for _, version := range testenv.LiveVersions() {
		t.Run(string(version), func(t *testing.T) {
			testenv.NeedNest(t, version)
			t.Parallel()
			h := house{b: b, version: version, url: common}
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

// pair is a client and a server of two makes.
type pair struct {
	name        string // client-server
	plain, wild *talk
}

// talk is one client that speaks to one service.
type talk struct {
	caller  caller
	service service
	barrier *testenv.Call // one that is answered; nil where none is
}

// caller makes calls and tells what was observed.
type caller interface {
	call(ctx context.Context, c testenv.Call) []string
}

// service tells which of its handlers have run.
type service interface {
	handled() []string
}

// play makes the call of a scenario and compares what is observed at both ends.
func (p pair) play(t *testing.T, h house, s scenario, with *talk) {
	t.Helper()
	where := fmt.Sprintf("%s/%s/%s", p.name, h.b.name, h.version)
	want, runs := s.at(where)
	limit := patience
	if slices.Contains(want, `{"error":`+timedOut+`}`) {
		limit = inVain
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

func (w *talk) call(t *testing.T, c testenv.Call, limit time.Duration) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return w.caller.call(ctx, c)
}

// barrierMark ends the run of a barrier.
const barrierMark = ` "barrier"`

// runsSince returns the runs of handlers after the first before of them, sorted, once there are n and those of all
// messages that have been sent.
func (w *talk) runsSince(t *testing.T, before, n int) []string {
	t.Helper()
	count := func(barrier bool) (n int) {
		for _, run := range w.service.handled()[before:] {
			if strings.HasSuffix(run, barrierMark) == barrier {
				n++
			}
		}
		return n
	}
	await(func() bool { return count(false) >= n })
	if w.barrier != nil { // whatever was sent before it has been begun before it
		w.call(t, *w.barrier, patience)
		await(func() bool { return count(true) > 0 })
	}
	runs := slices.Clone(w.service.handled()[before:])
	runs = slices.DeleteFunc(runs, func(run string) bool { return strings.HasSuffix(run, barrierMark) })
	slices.Sort(runs)
	return runs
}

// await polls until ok holds, for as long as patience lasts.
func await(ok func() bool) {
	every := time.NewTicker(2 * time.Millisecond)
	defer every.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-every.C:
		case <-deadline:
			return
		}
	}
}

// shortDiff is a difference whose long lines are cut.
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
