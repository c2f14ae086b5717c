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

// Follow reads the log of a detached run line by line, with its older files, until each
// returns false or the run has ended. It calls caughtUp once, when it has read what there
// was. It returns ctx's error if ctx ends first.
func Follow(ctx context.Context, file string, ended <-chan struct{}, caughtUp func(), each func(line string, e proc.Event, isEvent bool) bool) error {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer f.Close()
	l := follower{file: file, each: each}
	for n := oldFiles; n >= 1; n-- {
		if more, err := l.readOlder(n, 0); !more || err != nil {
			return err
		}
	}
	in := bufio.NewReader(f)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for over := false; ; {
		more, err := l.read(in)
		if !more || err != nil {
			return err
		}
		if info, err := f.Stat(); err == nil && info.Size() < l.offset { // its content was moved
			if more, err := l.readOlder(1, l.offset); !more || err != nil {
				return err
			}
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return fmt.Errorf("read the log: %w", err)
			}
			in.Reset(f)
			l.offset = 0
			continue
		}
		if caughtUp != nil {
			caughtUp()
			caughtUp = nil
		}
		if over {
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

// follower reads the lines of a log.
type follower struct {
	file   string
	each   func(line string, e proc.Event, isEvent bool) bool
	part   strings.Builder // an incomplete line
	offset int64           // in the current file
}

// readOlder reads an older file from an offset on. It reports whether each wants more.
func (l *follower) readOlder(n int, from int64) (more bool, err error) {
	f, err := os.Open(older(l.file, n))
	if err != nil {
		return true, nil //nolint:nilerr // there is no such file
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return false, fmt.Errorf("read the log: %w", err)
	}
	more, err = l.read(bufio.NewReader(f))
	l.offset = 0
	return more, err
}

// read reads the lines up to the end of a file.
func (l *follower) read(in *bufio.Reader) (more bool, err error) {
	for {
		text, err := in.ReadString('\n')
		l.offset += int64(len(text))
		l.part.WriteString(text)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read the log: %w", err)
		}
		line := strings.TrimRight(l.part.String(), "\n")
		l.part.Reset()
		e, ok := parseLine(line)
		if !l.each(line, e, ok) {
			return false, nil
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
