// Package watch reports changes of the files that services are built from.
package watch

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/msctl/msctl/internal/workspace"
)

const (
	// quietTime is how long no file must change before changes are reported: an editor
	// saves a file in several steps, and a tool may write many files.
	quietTime = 120 * time.Millisecond
	// maxDelay limits the delay while files keep changing.
	maxDelay = time.Second
	// sweepInterval is how often the watched folders are compared with the tree, in case
	// the system has not reported a change of the tree.
	sweepInterval = 10 * time.Second
)

// Watcher watches the files of a workspace, except for folders that are not edited by
// hand, and the folders outside the workspace that services are built from. Create it
// with [New], subscribe to it, and then call [Watcher.Run].
type Watcher struct {
	work  *workspace.Workspace
	warn  func(format string, args ...any)
	own   func(names []string)
	notes *fsnotify.Watcher
	subs  []*Subscription

	roots []string // are watched with all folders below; set before Run

	mu      sync.Mutex             // guards the fields below, and the sources of all subscriptions
	watched map[string]fs.FileInfo // the folders that are watched, each as it was found
	single  map[string]bool        // folders that are watched without those below
}

// Change is a set of files that have changed.
type Change struct {
	Paths []string // relative to the workspace
	// Stray reports that the files do not belong to any service as far as is known.
	// They matter only to a service whose last build has failed.
	Stray bool
}

// Subscription receives the changes that concern one service.
type Subscription struct {
	// Changes receives each change, merged with those that have not been received yet.
	Changes chan Change

	watcher *Watcher
	globs   []string
	built   bool
	sources Sources
}

// New returns a watcher for a workspace. It reports problems that limit what can be
// watched with warn, and the names of the files of the workspace itself, such as msctl.yaml,
// that have changed with own.
func New(w *workspace.Workspace, warn func(format string, args ...any), own func(names []string)) (*Watcher, error) {
	notes, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	watcher := &Watcher{work: w, warn: warn, own: own, notes: notes, watched: map[string]fs.FileInfo{}, single: map[string]bool{}}
	watcher.addRoot(w.Dir)
	return watcher, nil
}

// Subscribe returns the changes that concern a service: those of files that match its
// globs or, without globs, those of the sources that a Go service is built from. Call
// it before [Watcher.Run].
func (w *Watcher) Subscribe(s *workspace.Service) *Subscription {
	sub := &Subscription{Changes: make(chan Change, 1), watcher: w, globs: s.Watch, built: s.Path != ""}
	for _, glob := range s.Watch {
		// The folder may be outside the workspace, or one of those that addTree skips.
		w.addRoot(filepath.Join(w.work.Dir, filepath.FromSlash(globBase(glob))))
	}
	w.subs = append(w.subs, sub)
	return sub
}

// Learn sets what the service is built from. Until it is called, and with the zero
// Sources, every source file counts.
func (s *Subscription) Learn(found Sources) {
	s.watcher.mu.Lock()
	s.sources = found
	s.watcher.mu.Unlock()
	for _, dir := range found.folders() {
		s.watcher.mu.Lock()
		s.watcher.single[dir] = true
		s.watcher.mu.Unlock()
		if _, err := s.watcher.add(dir); err != nil {
			return // add has warned
		}
	}
}

// Run collects changes and reports them until ctx ends. It then closes the watcher.
func (w *Watcher) Run(ctx context.Context) {
	defer w.notes.Close()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	changed := map[string]bool{}
	var first time.Time
	moved := false // a folder may have been moved or replaced
	soon := func() {
		if first.IsZero() {
			first = time.Now()
		}
		timer.Reset(min(quietTime, max(maxDelay-time.Since(first), 0)))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case note := <-w.notes.Events:
			moved = moved || note.Has(fsnotify.Rename) || note.Has(fsnotify.Remove)
			if w.collect(note, changed) {
				soon()
			}
		case err := <-w.notes.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				w.reconcile(changed)
				w.addAll(changed) // it is not known which of them have changed
				soon()
			} else {
				w.warn("watch files: %v", err)
			}
		case <-sweep.C:
			if w.reconcile(changed) {
				soon()
			}
		case <-timer.C:
			if moved {
				w.reconcile(changed)
			}
			w.report(changed)
			changed, first, moved = map[string]bool{}, time.Time{}, false
		}
	}
}

// reconcile compares the watched folders with the tree. It watches those that are new or
// have been replaced by another folder with the same name, and adds the files in them to
// changed. It reports whether there are any.
//
// Subtle: the system watches folders, not names. When a parent is renamed, its subfolders
// are still watched, under names that they no longer have.
func (w *Watcher) reconcile(changed map[string]bool) (found bool) {
	for dir, before := range w.snapshot() {
		now, err := os.Stat(dir)
		if err != nil || !os.SameFile(before, now) {
			w.forget(dir)
			changed[dir], found = true, true
		}
	}
	w.mu.Lock()
	single := slices.Collect(maps.Keys(w.single))
	w.mu.Unlock()
	var files []string
	for _, dir := range single {
		if fresh, err := w.add(dir); fresh && err == nil {
			files = append(files, filesIn(dir)...)
		}
	}
	for _, root := range w.roots {
		files = append(files, w.addTree(root)...)
	}
	for _, file := range files {
		changed[file] = true
	}
	return found || len(files) > 0
}

// snapshot returns a copy of the watched folders.
func (w *Watcher) snapshot() map[string]fs.FileInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.watched)
}

// forget stops watching a folder and those below it.
func (w *Watcher) forget(dir string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	below := dir + string(filepath.Separator)
	for name := range w.watched {
		if name == dir || strings.HasPrefix(name, below) {
			delete(w.watched, name)
			_ = w.notes.Remove(name) // fails if the system has stopped watching it already
		}
	}
}

// addAll adds the files of all watched folders to changed.
func (w *Watcher) addAll(changed map[string]bool) {
	for dir := range w.snapshot() {
		for _, file := range filesIn(dir) {
			changed[file] = true
		}
	}
}

// filesIn returns the files of a folder, without those in folders below.
func filesIn(dir string) (files []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // deleted meanwhile
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
	}
	return files
}

// collect adds the file of a notification to changed, and reports whether it counts. It
// watches a new folder from now on, and adds the files that are already in it.
func (w *Watcher) collect(note fsnotify.Event, changed map[string]bool) bool {
	if note.Op&^fsnotify.Chmod == 0 || temporary(note.Name) {
		return false
	}
	if note.Has(fsnotify.Create) {
		if info, err := os.Stat(note.Name); err == nil && info.IsDir() {
			files := w.addTree(note.Name)
			for _, file := range files {
				changed[file] = true
			}
			return len(files) > 0
		}
	}
	if note.Has(fsnotify.Remove) || note.Has(fsnotify.Rename) {
		w.forget(note.Name) // if it was a folder
	}
	changed[note.Name] = true
	return true
}

// report sends each subscription the changes that concern it.
func (w *Watcher) report(changed map[string]bool) {
	var own []string
	for _, name := range append(workspace.DotenvFiles(), workspace.FileName) {
		if changed[filepath.Join(w.work.Dir, name)] {
			own = append(own, name)
		}
	}
	if len(own) > 0 {
		w.own(own)
	}
	known := map[string]bool{} // paths that concern some service
	paths := map[*Subscription][]string{}
	w.mu.Lock()
	for _, s := range w.subs {
		for path := range changed {
			if s.concerns(path) {
				paths[s] = append(paths[s], w.relative(path))
				known[path] = true
			}
		}
	}
	w.mu.Unlock()
	var strays []string
	for path := range changed {
		if !known[path] && isSource(path) {
			strays = append(strays, w.relative(path))
		}
	}
	for _, s := range w.subs {
		switch {
		case len(paths[s]) > 0:
			s.send(Change{Paths: paths[s]})
		case len(strays) > 0 && s.built:
			s.send(Change{Paths: strays, Stray: true})
		}
	}
}

// concerns reports whether a change of the file at path concerns the service. The
// watcher's mu must be held.
func (s *Subscription) concerns(path string) bool {
	if len(s.globs) > 0 {
		name := s.watcher.relative(path)
		return slices.ContainsFunc(s.globs, func(glob string) bool { return matchGlob(glob, name) })
	}
	return s.built && s.sources.has(path)
}

// send delivers a change, merged with one that has not been received. Only the
// watcher's goroutine calls it, so that there is room after the receive.
func (s *Subscription) send(c Change) {
	select {
	case s.Changes <- c:
		return
	default:
	}
	select {
	case old := <-s.Changes:
		c.Paths = append(old.Paths, c.Paths...)
		c.Stray = c.Stray && old.Stray
	default:
	}
	slices.Sort(c.Paths)
	c.Paths = slices.Compact(c.Paths)
	s.Changes <- c
}

// relative returns a path as users see it: relative to the workspace, with slashes.
func (w *Watcher) relative(path string) string {
	name, err := filepath.Rel(w.work.Dir, path)
	if err != nil {
		return filepath.ToSlash(path)
	}
	return filepath.ToSlash(name)
}

// addRoot watches a folder and all folders below it, also those that are created later.
func (w *Watcher) addRoot(root string) {
	w.roots = append(w.roots, root)
	w.addTree(root)
}

// addTree watches a folder and all folders below it, and returns the files of those that
// were not watched before.
func (w *Watcher) addTree(root string) (files []string) {
	fresh := map[string]bool{}
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // deleted meanwhile, or not readable; watch the rest
		case !entry.IsDir():
			if fresh[filepath.Dir(path)] {
				files = append(files, path)
			}
			return nil
		case path != root && skipped(entry.Name()):
			return filepath.SkipDir
		}
		fresh[path], err = w.add(path)
		return err
	})
	return files
}

// add watches one folder, and reports whether it was not watched before: by its name, and
// as this folder. It returns an error if no more folders can be watched.
func (w *Watcher) add(dir string) (fresh bool, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return false, nil //nolint:nilerr // deleted meanwhile
	}
	w.mu.Lock()
	before := w.watched[dir]
	w.watched[dir] = info
	w.mu.Unlock()
	if before != nil && os.SameFile(before, info) {
		return false, nil
	}
	if before != nil {
		_ = w.notes.Remove(dir) // the folder that had this name; fails if it was deleted
	}
	err = w.notes.Add(dir)
	if errors.Is(err, syscall.ENOSPC) {
		w.warn("too many folders to watch: %s and others are not watched; raise fs.inotify.max_user_watches", dir)
		return true, err
	}
	if err != nil { // the folder was deleted
		w.mu.Lock()
		delete(w.watched, dir)
		w.mu.Unlock()
		return false, nil
	}
	return true, nil
}

// skipped reports whether folders of that name contain nothing that is edited by hand.
func skipped(name string) bool {
	switch name {
	case "node_modules", "dist", "bin":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// temporary reports whether an editor creates files of that name for its own use.
func temporary(path string) bool {
	name := filepath.Base(path)
	return strings.HasSuffix(name, "~") || strings.HasPrefix(name, ".#") || strings.HasPrefix(name, "#") ||
		strings.HasSuffix(name, ".swp") || strings.HasSuffix(name, ".swx") || strings.HasSuffix(name, ".tmp") || name == "4913"
}
