package stagger

import (
	"context"
	"io"
	"maps"
	"sync"
	"time"
)

// Avoid is how long a Memory knows that a target did not answer.
const Avoid = 30 * time.Second

// Memory knows which targets did not answer within Delay the last time, so that they are tried
// last for a while. The zero value knows none. It is safe for concurrent use.
type Memory struct {
	mu    sync.Mutex
	until map[string]time.Time // of the targets that did not answer, by target
}

// Order returns the targets with those that did not answer moved to the end.
func (m *Memory) Order(targets []string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	ordered := make([]string, 0, len(targets))
	for _, silent := range []bool{false, true} {
		for _, t := range targets {
			if now.Before(m.until[t]) == silent {
				ordered = append(ordered, t)
			}
		}
	}
	return ordered
}

// Note records the outcome for a target that was tried at began.
func (m *Memory) Note(target string, began time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil || time.Since(began) < Delay {
		delete(m.until, target)
		return
	}
	now := time.Now()
	maps.DeleteFunc(m.until, func(_ string, until time.Time) bool { return until.Before(now) })
	if m.until == nil {
		m.until = map[string]time.Time{}
	}
	m.until[target] = now.Add(Avoid)
}

// Noting returns dial, for First, with its outcome recorded in m. A target that was canceled
// after Delay, because another one was faster, did not answer.
func Noting[T io.Closer](m *Memory, dial func(ctx context.Context, target string) (T, error)) func(ctx context.Context, target string) (T, error) {
	return func(ctx context.Context, target string) (T, error) {
		began := time.Now()
		conn, err := dial(ctx, target)
		m.Note(target, began, err)
		return conn, err
	}
}
