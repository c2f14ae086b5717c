package report_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
)

// broken is a writer that fails.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestVegetaFile(t *testing.T) {
	var file bytes.Buffer
	v := report.NewVegeta(&file, "p", "tcp://x")
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	given := []load.Request{
		{Seq: 1, Intended: begin.Add(time.Second), Latency: 5, Outcome: load.Timeout, Text: "no answer in time"},
		{Seq: 0, Intended: begin, Latency: 7, Outcome: load.OK, BytesIn: 3, BytesOut: 2},
		{Seq: 2, Intended: begin, Outcome: load.Error, Status: 404, Text: "not found"},
		{Seq: 3, Intended: begin, Outcome: load.Error, Text: "Internal server error"},
		{Seq: 4, Intended: begin, Outcome: load.Reset, Text: "connection closed"},
		{Seq: 5, Intended: begin, Outcome: load.Shed, Text: "too many"},
	}
	for _, r := range given {
		v.Result(r)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	var codes []uint16
	decode := vegeta.NewDecoder(&file)
	for i := range given {
		var r vegeta.Result
		if err := decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Seq != given[i].Seq || !r.Timestamp.Equal(given[i].Intended) || r.Latency != given[i].Latency || r.Error != given[i].Text {
			t.Errorf("result %d reads back as %+v", i, r)
		}
		codes = append(codes, r.Code)
	}
	if diff := cmp.Diff([]uint16{504, 200, 404, 500, 0, 0}, codes); diff != "" {
		t.Errorf("codes -want +got\n%s", diff)
	}
	if err := decode(&vegeta.Result{}); !errors.Is(err, io.EOF) {
		t.Errorf("after the last result: %v, want EOF", err)
	}
	full := report.NewVegeta(broken{}, "p", "t")
	full.Result(given[0])
	if full.Close() == nil {
		t.Error("no error for a full disk")
	}
}
