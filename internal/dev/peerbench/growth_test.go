package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/microtcp"
)

// startServer serves the handlers of all axes until the test ends, and returns the address.
func startServer(t *testing.T, o options) string {
	t.Helper()
	l := microtcp.Listen(o.addr)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- newServer(o).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	addr, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

// TestGrowth measures the first points of every axis, and writes them into a page. The server runs in this process.
func TestGrowth(t *testing.T) {
	folder := t.TempDir()
	page := filepath.Join(folder, "page.md")
	if err := os.WriteFile(page, []byte("# Page\n\n<!-- growth: written by make bench-growth -->\n<!-- growth: end -->\n\nRest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := axes()
	for i := range list {
		a := &list[i]
		for _, value := range a.values[:2] {
			g, _ := a.at(value)
			g.addr = startServer(t, options{transport: "tcp", addr: "127.0.0.1:0", handlers: 10})
			took := measured(t, g)
			a.Points = append(a.Points, pointOf(value, []sample{{requests: len(took), length: time.Second, server: time.Duration(len(took)) * time.Microsecond}}))
		}
	}
	if err := writeGrowth(list, options{growth: page, reps: 3, length: time.Second}, "1, 2, 3"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Medians of 3 repetitions of 1s", "average was 1, 2, 3 before", "### Connections\n", "### Handlers\n", "### Payload\n", "### Requests in flight\n", "| 100 B | 1 µs | 1 µs |", "\n\nRest\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	for i := range list {
		if plot, err := os.ReadFile(filepath.Join(folder, "images", list[i].File())); err != nil || !strings.HasPrefix(string(plot), "<svg ") {
			t.Errorf("%s: %v", list[i].File(), err)
		}
	}
}
