package proc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/proc/socket"
	"github.com/msctl/msctl/internal/workspace"
)

// openSockets opens the listening sockets of all services that inherit one, and checks
// that the ports of the other services are free. It returns an error if no port can be
// opened, or if one cannot and that is fatal; otherwise, the service fails to start.
func (s *Supervisor) openSockets(ctx context.Context) (map[string]net.Listener, error) {
	sockets := map[string]net.Listener{}
	var first error
	usable := false
	for i := range s.units {
		u := &s.units[i]
		var err error
		if u.inherits {
			var l net.Listener
			if l, err = u.listen(ctx); err == nil {
				sockets[u.spec.Name] = l
			}
		} else {
			err = u.checkPort(ctx)
		}
		usable = usable || err == nil
		if first == nil {
			first = err
		}
	}
	if first != nil && (!usable || s.options.FailFast) {
		return sockets, first
	}
	return sockets, nil
}

// checkPort checks that the port of a service that opens it itself is free. If another
// process listened there, it would be taken for the service.
func (u *unit) checkPort(ctx context.Context) error {
	if u.spec.Port == 0 {
		return nil
	}
	addresses := reachable(u.spec)
	if own := address(u.spec); !slices.Contains(addresses, own) {
		addresses = append(addresses, own)
	}
	return socket.CheckFree(ctx, u.spec.Name, addresses...)
}

func closeSockets(sockets map[string]net.Listener) {
	for _, l := range sockets {
		_ = l.Close()
	}
}

// workspaceCache returns the folder in which the programs of a workspace are built.
// cacheDir is that of [Options].
func workspaceCache(w *workspace.Workspace, cacheDir string) (string, error) {
	if cacheDir != "" {
		return cacheDir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache: %w", err)
	}
	sum := sha256.Sum256([]byte(w.Dir))
	return filepath.Join(cache, "msctl", "run", w.Name+"-"+hex.EncodeToString(sum[:6])), nil
}

// LogFile returns the file to which a detached run of the workspace writes its output.
// Each run overwrites it. cacheDir is that of [Options].
func LogFile(w *workspace.Workspace, cacheDir string) (string, error) {
	dir, err := workspaceCache(w, cacheDir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create the log folder: %w", err)
	}
	return filepath.Join(dir, detachedLog), nil
}

const (
	detachedLog = ".detached.log"
	keepLogs    = 14 * 24 * time.Hour
)

// RemoveOldLogs removes the logs of detached runs, of all workspaces, to which nothing has
// been written for two weeks. What cannot be removed is left.
func RemoveOldLogs(now time.Time) {
	cache, err := os.UserCacheDir()
	if err == nil {
		removeOldLogs(filepath.Join(cache, "msctl", "run"), now)
	}
}

func removeOldLogs(dir string, now time.Time) {
	files, err := filepath.Glob(filepath.Join(dir, "*", detachedLog+"*"))
	if err != nil {
		return
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && now.Sub(info.ModTime()) > keepLogs {
			_ = os.Remove(file)
		}
	}
}

// sessionPrefix starts the name of a run's folder. No service has a name with a dot.
const sessionPrefix = ".run-"

// folders creates the folder with the workspace's programs, which is kept, and the
// folder of this run.
func (r *run) folders(ctx context.Context) (dir, session string, err error) {
	dir, err = workspaceCache(r.work, r.options.CacheDir)
	if err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", fmt.Errorf("create the build folder: %w", err)
	}
	removeStaleSessions(ctx, dir)
	session, err = os.MkdirTemp(dir, sessionPrefix)
	if err != nil {
		return "", "", fmt.Errorf("create the build folder: %w", err)
	}
	if strings.ContainsAny(session, "\r\n") { // the guard reads it as a line
		return "", "", errors.Join(fmt.Errorf("the cache folder %q has a line break in its name", dir), os.Remove(session))
	}
	return dir, session, nil
}

// removeStaleSessions removes the folders of runs that ended together with their guard,
// as in a power failure. A run that has just started has no control file yet.
func removeStaleSessions(ctx context.Context, dir string) {
	dialer := net.Dialer{Timeout: time.Second}
	sessions, err := filepath.Glob(filepath.Join(dir, sessionPrefix+"*"))
	if err != nil {
		return
	}
	for _, session := range sessions {
		c, err := readControl(filepath.Join(session, controlFile))
		info, statErr := os.Stat(session)
		switch {
		case statErr != nil:
			continue // already removed
		case err == nil:
			conn, dialErr := dialer.DialContext(ctx, "tcp", c.Address)
			if dialErr == nil {
				_ = conn.Close()
				continue // still running
			}
		case time.Since(info.ModTime()) < time.Hour:
			continue
		}
		_ = os.RemoveAll(session) // if this fails, the next run tries again
	}
}
