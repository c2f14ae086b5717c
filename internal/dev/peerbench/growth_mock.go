package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
)

// buildMsctl builds msctl once, and returns the program.
var buildMsctl = sync.OnceValues(func() (program string, err error) {
	program = filepath.Join(testenv.Root(), ".cache", "msctl-growth")
	if reason := buildIn(testenv.Root(), program, "./cmd/msctl"); reason != "" {
		return "", errors.New("build msctl: " + reason)
	}
	return program, nil
})

// startMock starts `msctl mock` with a recording of n messages, and returns when it is listening.
func startMock(ctx context.Context, n int) (*service, error) {
	program, err := buildMsctl()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "growth")
	if err != nil {
		return nil, err
	}
	s := &service{transport: "tcp", end: func() { _ = os.RemoveAll(dir) }}
	file := filepath.Join(dir, "session.jsonl")
	if err = record(file, n); err == nil {
		err = s.place()
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, program, "mock", "--from", file, "--listen", s.addr)
	if err := s.cmd.Start(); err != nil {
		s.stop()
		return nil, fmt.Errorf("start msctl mock: %w", err)
	}
	if !testenv.Poll(time.Minute, func() bool {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}) {
		s.stop()
		return nil, errors.New("msctl mock does not listen")
	}
	return s, nil
}

// recorded is a line of a recording.
type recorded struct {
	Kind    string `json:"kind"`
	Span    string `json:"span"`
	Pattern string `json:"pattern"`
	Start   int    `json:"start"`
	Took    int    `json:"took"`
	Outcome string `json:"outcome"`
	Data    item   `json:"data"`
	Reply   item   `json:"reply"`
	Service string `json:"service"`
}

// record writes a recording of n messages with different data. The first one is the generator's.
func record(file string, n int) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	w := bufio.NewWriter(out)
	lines := json.NewEncoder(w)
	for i, one := range items(n) {
		line := recorded{Kind: "handle", Span: fmt.Sprintf("%016x", i+1), Pattern: `{"cmd":"echo"}`, Start: i + 1, Took: 1, Outcome: "ok", Data: one, Reply: one, Service: "items"}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return out.Close()
}
