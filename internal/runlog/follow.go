package runlog

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/proc"
)

// Follow reads the log of a detached run line by line, until each returns false or
// the run has ended. It returns ctx's error if ctx ends first.
func Follow(ctx context.Context, file string, ended <-chan struct{}, each func(line string, e proc.Event, isEvent bool) bool) error {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var part strings.Builder // an incomplete line
	for over := false; ; {
		text, err := in.ReadString('\n')
		part.WriteString(text)
		switch {
		case err == nil:
			text := strings.TrimRight(part.String(), "\n")
			part.Reset()
			e, ok := parseLine(text)
			if !each(text, e, ok) {
				return nil
			}
			continue
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("read the log: %w", err)
		case over:
			return nil
		}
		select {
		case <-ended:
			over = true // read the rest
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// parseLine parses a line of --log json.
func parseLine(text string) (proc.Event, bool) {
	var l line
	if !strings.HasPrefix(text, "{") || json.Unmarshal([]byte(text), &l) != nil {
		return proc.Event{}, false
	}
	e := proc.Event{
		Kind: l.Event, Service: l.Service, Stream: l.Stream, Pid: l.Pid, Paths: l.Paths, URL: l.URL, Quiet: l.Quiet,
		Took: time.Duration(l.TookMS * float64(time.Millisecond)), Delay: time.Duration(l.DelayMS * float64(time.Millisecond)),
	}
	if l.Text != nil {
		e.Text = *l.Text
	}
	e.Time, _ = time.Parse(time.RFC3339Nano, l.Time) // it is only printed
	return e, e.Kind != ""
}
