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
	"strings"
	"time"

	"github.com/msctl/msctl/internal/workspace"
)

// What a run needs before anything starts: sockets and folders.

// open opens the listening sockets of all services that are handed one, and
// checks that the ports of the others are free.
func (r *run) open(ctx context.Context) (map[string]net.Listener, error) {
	sockets := map[string]net.Listener{}
	for _, u := range r.units {
		if !u.handover {
			if err := checkFree(ctx, u.spec); err != nil {
				return sockets, err
			}
			continue
		}
		l, err := listen(ctx, u.spec)
		if err != nil {
			return sockets, err
		}
		sockets[u.spec.Name] = l
	}
	return sockets, nil
}

func closeSockets(sockets map[string]net.Listener) {
	for _, l := range sockets {
		_ = l.Close()
	}
}

// newBoard is the status of a run that is about to begin.
func (s *Supervisor) newBoard() *board {
	return &board{status: Status{Workspace: s.options.Workspace.Name, Pid: os.Getpid(), Started: time.Now()}}
}

// workspaceCache is the folder in which a workspace's programs are built.
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

// sessionPrefix begins the name of a run's folder; no service has a name with a
// dot.
const sessionPrefix = ".run-"

// folders makes the folder of the workspace's programs, which is kept, and that
// of this run.
func (r *run) folders(ctx context.Context) (dir, session string, err error) {
	dir, err = workspaceCache(r.work, r.options.CacheDir)
	if err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", fmt.Errorf("make the folder of the programs: %w", err)
	}
	r.tidy(ctx, dir)
	session, err = os.MkdirTemp(dir, sessionPrefix)
	if err != nil {
		return "", "", fmt.Errorf("make the folder of the programs: %w", err)
	}
	if strings.ContainsAny(session, "\r\n") {
		return "", "", errors.Join(fmt.Errorf("the cache folder %q has a line end in its name", dir), os.Remove(session))
	}
	return dir, session, nil
}

// tidy removes the folders of runs that ended together with their guard, as in
// a power cut. One that has just begun has no control file yet.
func (r *run) tidy(ctx context.Context, dir string) {
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
			continue // gone
		case err == nil:
			conn, dialErr := dialer.DialContext(ctx, "tcp", c.Address)
			if dialErr == nil {
				_ = conn.Close()
				continue // somebody is there
			}
		case time.Since(info.ModTime()) < time.Hour:
			continue
		}
		_ = os.RemoveAll(session) // the next run tries again
	}
}
