package compare_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/load/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// document returns a document with the runs, made on a fixed machine.
func document(runs ...report.Run) *report.Document {
	d := report.NewDocument(report.KindRun, "msctl v1.2.3", "msctl bench cmd=findAllItems --rate 500/s", runs...)
	d.Machine = report.Machine{OS: "linux", Arch: "amd64", CPUs: 2, Go: "go1.26.0"}
	return d
}
