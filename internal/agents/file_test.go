package agents

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// TestLargeFile sends a data file of 50 MB to four agents through a NATS server that accepts messages of 1 MB. Each agent
// sends its lines.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	const lines = 500
	file := filepath.Join(t.TempDir(), "rows.ndjson")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := bufio.NewWriter(out)
	padding := strings.Repeat("x", 100<<10)
	for i := range lines {
		fmt.Fprintf(w, "{\"row\":%d,\"padding\":%q}\n", i, padding)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if info, err := out.Stat(); err != nil || info.Size() < 50_000_000 {
		t.Fatalf("the file is %v, %v", info, err)
	}
	f := emptyFleet(t, natsServer(t, server.Options{MaxPayload: 1 << 20}).ClientURL(), 4) // the default
	f.processes(t, 4)
	s := serve(t)
	r := f.mustRun(t, settings{to: s.address, args: []string{"cmd=work", "row:={{.row}}"}, set: [][2]string{{"users", "4"}, {"requests", fmt.Sprint(lines)}, {"data-file", file}}}, nil)
	var want []string
	for i := range lines {
		want = append(want, fmt.Sprintf("work {\"row\":%d}", i))
	}
	slices.Sort(want)
	if got := s.received(); r.Outcomes["ok"] != lines || !slices.Equal(got, want) {
		t.Errorf("the outcomes are %v, and the service received %d requests", r.Outcomes, len(got))
	}
	for _, a := range r.Agents {
		if a.Offered != lines/4 {
			t.Errorf("an agent sent %d requests", a.Offered)
		}
	}
}
