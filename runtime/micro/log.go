package micro

import (
	"log/slog"
	"sync"
	"time"
)

// LogPeer logs events that a peer can cause in any number: at most ten lines per second,
// each with the number of lines suppressed before it. Listeners use it.
func (s *Server) LogPeer(level slog.Level, what string, args ...any) {
	ctx := s.Context()
	if !s.log.Enabled(ctx, level) {
		return
	}
	if ok, skipped := s.throttle.allow(time.Now()); ok {
		s.log.Log(ctx, level, what, append(args, "suppressed", skipped)...)
	}
}

// throttle limits the log lines per second that a peer can cause. The zero value is
// ready.
type throttle struct {
	mu      sync.Mutex
	second  int64
	count   int
	skipped int
}

const linesPerSecond = 10

// allow reports whether to log now, and how many lines were left out since the
// last one that was not.
func (t *throttle) allow(now time.Time) (ok bool, skipped int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Unix() != t.second {
		t.second, t.count = now.Unix(), 0
	}
	if t.count++; t.count > linesPerSecond {
		t.skipped++
		return false, 0
	}
	skipped, t.skipped = t.skipped, 0
	return true, skipped
}
