package cli

import (
	"context"
	"log/slog"

	"github.com/msctl/msctl/internal/term"
)

// warner is a log for people: it notes on standard error what they should know of
// although their message has succeeded.
type warner struct{ io *term.IO }

// Enabled reports whether the level is one that people are told of.
func (w warner) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle notes a record, unless it is about an error: the message that it hinders
// tells of that itself.
func (w warner) Handle(_ context.Context, r slog.Record) error {
	failed := false
	r.Attrs(func(a slog.Attr) bool {
		failed = failed || a.Key == "error"
		return !failed
	})
	if failed {
		return nil
	}
	w.io.Notef("%s %s", w.io.ErrPalette().Warn("warning:"), r.Message)
	return nil
}

// WithAttrs leaves attributes out: the message says it all.
func (w warner) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup does as WithAttrs.
func (w warner) WithGroup(string) slog.Handler { return w }
