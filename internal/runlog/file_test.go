package runlog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/proc"
)

// TestFile checks that a log stays below its limit, that Follow reads its files in order,
// and that it loses no line while it follows a log whose content is moved.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	out, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	f := &File{path: path, limit: 1000}
	next := 0
	write := func() {
		line := fmt.Sprintf("{\"event\":\"log\",\"service\":\"items\",\"text\":\"%d\"}\n", next)
		next++
		if _, err := out.WriteString(line); err != nil {
			t.Fatal(err)
		}
		f.wrote(len(line))
	}
	for range 70 { // more than three files
		write()
	}
	ended := make(chan struct{})
	var got, want []string
	caughtUp := false
	err = Follow(t.Context(), path, ended, func() {
		caughtUp = true
		write()
	}, func(_ string, e proc.Event, isEvent bool) bool {
		if !isEvent {
			t.Error("a line is no event")
		}
		got = append(got, e.Text)
		switch {
		case caughtUp && next < 170: // the reader never falls behind by more than a file
			write()
		case next == 170:
			next++
			close(ended)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 170 {
		want = append(want, fmt.Sprint(i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != oldFiles+1 {
		t.Errorf("files %v, error %v, want %d", files, err, oldFiles+1)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() > f.limit+100 {
			t.Errorf("%s has %d bytes, error %v, want about %d", file, info.Size(), err, f.limit)
		}
	}
	if err := RemoveOlder(path); err != nil {
		t.Error(err)
	}
	if files, _ := filepath.Glob(path + ".*"); len(files) > 0 {
		t.Errorf("files left: %v", files)
	}
}

// TestFollowCanceled checks that Follow ends with its context.
func TestFollowCanceled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := Follow(ctx, path, nil, cancel, nil)
	if err == nil {
		t.Error("Follow returned no error")
	}
}
