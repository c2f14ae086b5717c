package compare_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/compare"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/policy"
)

// delay returns how long a service takes for a request, given a normal deviate.
type delay func(z float64) time.Duration

// The services that are compared: lognormal around 10 ms with a p99 of 20 ms, the same
// but 15% slower, and the same with only the slowest 5% being 15% slower.
func usual(z float64) time.Duration { return time.Duration(10e6 * math.Exp(0.3*z)) }

func slower(z float64) time.Duration { return usual(z) * 115 / 100 }

func slowTail(z float64) time.Duration {
	if z > 1.645 {
		return slower(z)
	}
	return usual(z)
}

// work is a service that takes some time for each request.
func work(takes delay) *micro.Server {
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(time.Second))
	micro.HandleFunc(s, micro.Cmd("work"), func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		<-time.After(takes(rand.NormFloat64()))
		return reply.Send(micro.Value{Raw: []byte(`"ok"`), Last: true})
	})
	return s
}

// loaded returns a document of a run that loads a connection.
func loaded(t *testing.T, conn micro.Conn, plan load.Plan) *report.Document {
	t.Helper()
	plan.Messages = []load.Message{{Conns: []micro.Conn{conn}, Pattern: micro.Cmd("work")}}
	plan.Policy, plan.Arrivals, plan.Seed = policy.None(), load.Poisson, rand.Uint64()
	r, err := load.Start(t.Context(), plan)
	if err != nil {
		t.Error(err)
		return nil
	}
	run, err := report.NewRun(r.Wait(), report.About{Pattern: "work", Target: "tcp://127.0.0.1", Load: "poisson", Connections: 1})
	if err != nil {
		t.Error(err)
	}
	return document(run)
}

// realRun loads a service over TCP on this machine, whatever else is running there.
func realRun(t *testing.T, takes delay, rate int, duration time.Duration) *report.Document {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l, served := microtcp.Listen("127.0.0.1:0"), make(chan error, 1)
	go func() { served <- work(takes).Serve(ctx, l) }()
	address, err := l.Addr(ctx)
	if err != nil {
		t.Error(err)
	}
	conn := microtcp.Dial(address.String())
	defer func() {
		_ = conn.Close()
		cancel()
		<-served
	}()
	return loaded(t, conn, load.Plan{Pacer: vegeta.ConstantPacer{Freq: rate, Per: time.Second}, Duration: duration})
}

// TestCompareRuns compares runs of services in memory: equal services are the same, and one
// that is 15% slower has regressed.
func TestCompareRuns(t *testing.T) { synctest.Test(t, testCompareRuns) }

func testCompareRuns(t *testing.T) {
	t.Helper()
	var documents []*report.Document
	for _, takes := range []delay{usual, usual, slower} {
		n := microtest.New()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- work(takes).Serve(ctx, n) }()
		documents = append(documents, loaded(t, n.Dial(), load.Plan{
			Pacer: vegeta.ConstantPacer{Freq: 300, Per: time.Second}, Duration: 20 * time.Second, TimerPacing: true,
		}))
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
	for i, wrong := range [][]compare.Judgment{{compare.Regressed, compare.Better}, {compare.Same, compare.Better, compare.Unclear}} {
		c, err := compare.Documents(documents[0], documents[i+1], compare.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(wrong, c.Verdict) {
			t.Errorf("service %d is %s: %+v", i+1, c.Verdict, c.Metrics)
		}
	}
}

// trial is a comparison of the experiment.
type trial struct {
	kind string // same, slower or tail
	a, b *report.Document
	like *trial // whose b is this one's a
}

// TestCompareExperiment validates the comparison in about 20 minutes: 100 comparisons of a
// service with itself, each with two runs of its own, and 33 each with a service that is
// 15% slower and with one whose slowest 5% are. MSCTL_TEST_COMPARE=1 enables it.
// MSCTL_TEST_COMPARE_FILE names a file for the measurements, one trial per line; if it
// exists, its measurements are compared again.
func TestCompareExperiment(t *testing.T) {
	if os.Getenv("MSCTL_TEST_COMPARE") == "" {
		t.Skip("MSCTL_TEST_COMPARE=1 runs it")
	}
	name := os.Getenv("MSCTL_TEST_COMPARE_FILE")
	trials := loadTrials(t, name)
	if trials == nil {
		trials = runTrials(t)
		saveTrials(t, name, trials)
	}
	count := map[string]map[compare.Judgment]int{"same": {}, "slower": {}, "tail": {}}
	for _, one := range trials {
		c, err := compare.Documents(one.a, one.b, compare.Options{})
		if err != nil {
			t.Fatal(err)
		}
		count[one.kind][c.Verdict]++
	}
	t.Logf("verdicts: %v", count)
	if alarms := count["same"][compare.Regressed] + count["same"][compare.Better]; alarms > 5 {
		t.Errorf("%d of %d comparisons of equal services raise an alarm", alarms, 100)
	}
	for _, kind := range []string{"slower", "tail"} {
		caught, all := count[kind][compare.Regressed], 33-count[kind][compare.Unclear]
		t.Logf("%s: caught %d of %d, and %d times the machine was too busy to tell", kind, caught, all, count[kind][compare.Unclear])
		if all < 10 {
			t.Errorf("%s: only %d comparisons were clear: this machine is too busy", kind, all)
		}
		if kind == "slower" && 10*caught < 9*all {
			t.Errorf("%s: caught %d of %d, want 9 of 10", kind, caught, all)
		}
	}
}

// runTrials makes the runs, six at a time, and those of a trial at about the same time.
func runTrials(t *testing.T) []*trial {
	t.Helper()
	var trials []*trial
	var wg sync.WaitGroup
	room := make(chan struct{}, 6)
	start := func(into **report.Document, takes delay) {
		room <- struct{}{}
		wg.Go(func() {
			*into = realRun(t, takes, 300, 24*time.Second)
			<-room
		})
	}
	for i := range 100 {
		one := &trial{kind: "same"}
		trials = append(trials, one)
		start(&one.a, usual)
		start(&one.b, usual)
		other, takes := &trial{kind: "slower"}, slower
		switch i % 3 {
		case 0:
			continue
		case 1:
			other.kind, takes = "tail", slowTail
		}
		other.like = one
		trials = append(trials, other)
		start(&other.b, takes)
	}
	wg.Wait()
	for _, one := range trials {
		if one.like != nil {
			one.a = one.like.b
		}
	}
	return trials
}

// trialFile is a trial in a file.
type trialFile struct {
	Kind string           `json:"kind"`
	A    *report.Document `json:"a"`
	B    *report.Document `json:"b"`
}

// loadTrials returns nil if there is no file yet.
func loadTrials(t *testing.T, name string) (trials []*trial) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	for d := json.NewDecoder(f); d.More(); {
		var one trialFile
		if err := d.Decode(&one); err != nil {
			t.Fatal(err)
		}
		trials = append(trials, &trial{kind: one.Kind, a: one.A, b: one.B})
	}
	return trials
}

func saveTrials(t *testing.T, name string, trials []*trial) {
	t.Helper()
	if name == "" {
		return
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, one := range trials {
		if err := json.NewEncoder(f).Encode(trialFile{one.kind, one.a, one.b}); err != nil {
			t.Fatal(err)
		}
	}
}
