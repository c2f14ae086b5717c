package bench

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/internal/load/capacity"
)

// TestDemo checks, in memory, that the demo ends as it promises: the recommended policy recovers,
// long before the end of its run.
func TestDemo(t *testing.T) { synctest.Test(t, testDemo) }

func testDemo(t *testing.T) {
	t.Helper()
	const spare = 5 * time.Second
	last := demoRuns[len(demoRuns)-1]
	service := capacity.Config{Workers: demoWorkers, ServiceTime: capacity.Exponential(demoService)}
	d, _ := documentOf(t, mock(service)(t), "cmd=work", "--policy", last.policy, "--rate", fmt.Sprintf("%g/s", demoLoad*service.Capacity()),
		"--fault", fmt.Sprintf("stall@%s+%s", demoStallAt, demoStall), "--duration", last.length.String())
	run := d.Runs[0]
	if took := run.Triggers[0].Took; run.Verdict != "RECOVERED" || demoStallAt+demoStall+took+spare > last.length {
		t.Errorf("%s in %s, in a run of %s", run.Verdict, took, last.length)
	}
}
