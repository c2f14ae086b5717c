package proc

import (
	"context"
	"errors"
	"io/fs"
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
	// debounce is how long nothing must have happened before a change counts:
	// an editor saves a file in several steps, a tool many files.
	debounce = 120 * time.Millisecond
	// debounceMost bounds the wait when something changes all the time.
	debounceMost = time.Second
)

// watcher tells services of changes of their files. It watches the whole
// workspace, without the folders that nobody edits by hand, and the folders
// outside of it that services are built from. One goroutine reads it.
type watcher struct {
	run   *run
	notes *fsnotify.Watcher

	mu      sync.Mutex // guards what follows
	sources map[*service]sources
	watched map[string]bool
}

// watch starts the watcher. It ends with ctx; wait counts its goroutine.
func (r *run) watch(ctx context.Context, wait *sync.WaitGroup) error {
	notes, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	w := &watcher{run: r, notes: notes, sources: map[*service]sources{}, watched: map[string]bool{}}
	w.addTree(r.work.Dir)
	for _, s := range r.services {
		for _, glob := range s.spec.Watch {
			w.addTree(filepath.Join(r.work.Dir, filepath.FromSlash(globBase(glob)))) // it may be outside, or one of those left out
		}
	}
	r.watcher = w
	wait.Go(func() {
		w.read(ctx)
		_ = notes.Close()
	})
	return nil
}

// learn sets what a service is built from.
func (w *watcher) learn(s *service, found sources) {
	w.mu.Lock()
	w.sources[s] = found
	w.mu.Unlock()
	for _, dir := range found.folders() {
		if w.add(dir) != nil {
			return // that no more can be watched was told
		}
	}
}

// read gathers what happens until it has been quiet for a moment, and tells.
func (w *watcher) read(ctx context.Context) {
	timer := stoppedTimer()
	defer timer.Stop()
	changed := map[string]bool{}
	var first time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case note := <-w.notes.Events:
			if !w.see(note, changed) {
				continue
			}
			if first.IsZero() {
				first = time.Now()
			}
			timer.Reset(min(debounce, max(debounceMost-time.Since(first), 0)))
		case err := <-w.notes.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				w.run.warn("too much has changed at once: some changes were not seen, save a file again to rebuild")
			} else {
				w.run.warn("watch the files: %v", err)
			}
		case <-timer.C:
			w.tell(changed)
			changed, first = map[string]bool{}, time.Time{}
		}
	}
}

// see adds what a note is about to changed and reports whether it counts. A
// new folder is watched from now on; files may have come into it before.
func (w *watcher) see(note fsnotify.Event, changed map[string]bool) bool {
	if note.Op&^fsnotify.Chmod == 0 || temporary(note.Name) {
		return false
	}
	if note.Has(fsnotify.Create) {
		if info, err := os.Stat(note.Name); err == nil && info.IsDir() {
			found := false
			for _, file := range w.addTree(note.Name) {
				changed[file] = true
				found = true
			}
			return found
		}
	}
	if note.Has(fsnotify.Remove) || note.Has(fsnotify.Rename) {
		w.mu.Lock()
		delete(w.watched, note.Name) // if it was a folder, the system has forgotten it too
		w.mu.Unlock()
	}
	changed[note.Name] = true
	return true
}

// tell sends each service what has changed of it.
func (w *watcher) tell(changed map[string]bool) {
	if changed[w.run.work.Path] {
		w.run.warn("%s has changed: start `msctl run` again to use it", workspace.FileName)
	}
	known := map[string]bool{} // paths that belong to some service
	mine := map[*service][]string{}
	w.mu.Lock()
	for _, s := range w.run.services {
		for path := range changed {
			if w.concerns(s, path) {
				mine[s] = append(mine[s], w.relative(path))
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
	for _, s := range w.run.services {
		switch {
		case len(mine[s]) > 0:
			s.notify(change{paths: mine[s]})
		case len(strays) > 0 && s.spec.Path != "":
			s.notify(change{paths: strays, stray: true})
		}
	}
}

// concerns reports whether a change of the file at path concerns s. mu is held.
func (w *watcher) concerns(s *service, path string) bool {
	if len(s.spec.Watch) > 0 {
		name := w.relative(path)
		return slices.ContainsFunc(s.spec.Watch, func(glob string) bool { return matchGlob(glob, name) })
	}
	return s.spec.Path != "" && w.sources[s].has(path)
}

// relative is the path as people see it: relative to the workspace.
func (w *watcher) relative(path string) string {
	name, err := filepath.Rel(w.run.work.Dir, path)
	if err != nil {
		return filepath.ToSlash(path)
	}
	return filepath.ToSlash(name)
}

// notify leaves a change for the service's owner, merged with one that waits.
// Only the watcher's goroutine calls it.
func (s *service) notify(c change) {
	select {
	case s.change <- c:
		return
	default:
	}
	select {
	case old := <-s.change:
		c.paths = append(old.paths, c.paths...)
		c.stray = c.stray && old.stray
	default:
	}
	slices.Sort(c.paths)
	c.paths = slices.Compact(c.paths)
	s.change <- c // there is room: nobody else sends
}

// addTree watches a folder and all below it, and returns the files in it.
func (w *watcher) addTree(root string) (files []string) {
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // gone again, or not ours to read: the rest is watched
		case !entry.IsDir():
			files = append(files, path)
			return nil
		case path != root && unedited(entry.Name()):
			return filepath.SkipDir
		}
		return w.add(path)
	})
	return files
}

// add watches one folder. Its error ends a walk: no more folders can be watched.
func (w *watcher) add(dir string) error {
	w.mu.Lock()
	known := w.watched[dir]
	w.watched[dir] = true
	w.mu.Unlock()
	if known {
		return nil
	}
	err := w.notes.Add(dir)
	if errors.Is(err, syscall.ENOSPC) {
		w.run.warn("no more folders can be watched, from %s on: raise fs.inotify.max_user_watches", dir)
		return err
	}
	return nil // the folder is gone again
}

// unedited reports whether a folder of that name holds nothing that people edit.
func unedited(name string) bool {
	switch name {
	case "node_modules", "dist", "bin":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// temporary reports whether an editor makes files of that name for itself.
func temporary(path string) bool {
	name := filepath.Base(path)
	return strings.HasSuffix(name, "~") || strings.HasPrefix(name, ".#") || strings.HasPrefix(name, "#") ||
		strings.HasSuffix(name, ".swp") || strings.HasSuffix(name, ".swx") || strings.HasSuffix(name, ".tmp") || name == "4913"
}
