package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/test/testenv"
)

// TestSteadyLatency loads a real NestJS service with 100 requests per second, again and
// again. NestJS leaves Nagle's algorithm on: a client that delays acknowledgments measures
// either the service or its own pace, depending on whether two requests of the run have
// overlapped. All medians must be close, and no run a regression from the previous one.
// The test takes two minutes and a quiet machine.
func TestSteadyLatency(t *testing.T) {
	if os.Getenv("MSCTL_TEST_LONG") == "" {
		t.Skip("takes two minutes and a quiet machine: set MSCTL_TEST_LONG=1")
	}
	nest := testenv.Nest(t, testenv.Nest12)
	for _, arrivals := range []string{"uniform", "poisson"} { // independent requests overlap in every run
		t.Run(arrivals, func(t *testing.T) {
			dir := t.TempDir()
			var least, most time.Duration
			before := ""
			for i := range 11 {
				file := filepath.Join(dir, fmt.Sprintf("%d.json", i))
				got := runMsctl(t, "bench", "cmd=echo", "n:=1", "--to", "tcp://"+nest.Addr, "--rate", "100/s", "--duration", "5s",
					"--warmup", "500ms", "--arrivals", arrivals, "--save", file)
				if got.code != 0 {
					t.Fatalf("run %d: %+v", i+1, got)
				}
				p50 := medianOf(t, file)
				t.Logf("run %d: p50 %s", i+1, p50)
				if most = max(most, p50); least == 0 || p50 < least {
					least = p50
				}
				if before != "" {
					if got := runMsctl(t, "bench", "compare", before, file); got.code != 0 {
						t.Errorf("run %d compared with the previous one: exit code %d\n%s%s", i+1, got.code, got.stdout, got.stderr)
					}
				}
				before = file
			}
			if most > least*13/10 {
				t.Errorf("the medians are between %s and %s", least, most)
			}
		})
	}
}

// medianOf returns the median latency of the requests of a saved run.
func medianOf(t *testing.T, file string) time.Duration {
	t.Helper()
	d, err := bench.LoadDocument(file)
	if err != nil {
		t.Fatal(err)
	}
	p50 := d.Runs[0].Latency["ok"].P50
	if p50 == 0 {
		t.Fatalf("%s has no median", file)
	}
	return p50
}
