package proc

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// TestNest checks that a real NestJS service runs in a workspace with a Go service that
// depends on it, restarts on a change, and stops with the run.
func TestNest(t *testing.T) {
	t.Parallel()
	testenv.NeedNest(t, testenv.Nest12)
	nest := filepath.Join(testenv.Root(), "testdata", "nest")
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	file, ports := shop(t, fmt.Sprintf(`name: shop
services:
  items:
    path: ./items
    port: $1
    depends_on: [nest]
  nest:
    command: [node, nest-server.mjs, --port, %q]
    dir: %q
    port: %d
    watch: ["contracts/*.go"]
    env: {NEST_DIR: %q, NO_COLOR: 1}
`, fmt.Sprint(port), nest, port, filepath.Join(nest, string(testenv.Nest12))))
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	first, ready := s.awaitKind(0, KindReady, "nest")
	s.awaitKind(ready, KindStarting, "items") // not earlier
	sum := func() {
		t.Helper()
		got, err := micro.Call[json.RawMessage](t.Context(), dial(t, port), micro.Cmd("sum"), []int{1, 2})
		if err != nil || string(got) != "3" {
			t.Errorf("1 + 2 = %s, error %v", got, err)
		}
	}
	sum()
	from := s.now()
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	second, _ := s.awaitKind(from, KindReady, "nest")
	s.awaitKind(from, KindSwapped, "items")
	sum()
	m := s.awaitMessage(func(m tap.Message) bool { return m.Service == "nest" && m.Kind == reported.Handle && !m.Open })
	if m.Pattern != `{"cmd":"sum"}` || m.Outcome != reported.OK || string(m.Data) != "[1,2]" || string(m.Reply) != "3" {
		t.Errorf("the service reported %+v", m)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for _, pid := range []int{first.Pid, second.Pid} {
		if left := members(t, pid); len(left) > 0 {
			t.Errorf("processes left in group %d: %v", pid, left)
		}
	}
	if n := len(s.find(KindKilled, "")); n > 0 {
		t.Errorf("%d processes were killed", n)
	}
	for _, port := range []int{port, ports[0]} {
		if !refused(port) {
			t.Errorf("port %d is still open", port)
		}
	}
}
