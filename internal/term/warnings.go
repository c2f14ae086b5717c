package term

import (
	"context"
	"log/slog"

	"github.com/msctl/msctl/internal/term/visible"
)

// Warnings returns a logger that prints warnings to Err. It ignores records with an
// error, because the message that failed reports that error itself.
func (s *IO) Warnings() *slog.Logger { return slog.New(warnings{s}) }

type warnings struct{ io *IO }

// Enabled implements slog.Handler.
func (w warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (w warnings) Handle(_ context.Context, r slog.Record) error {
	failed := false
	r.Attrs(func(a slog.Attr) bool {
		failed = failed || a.Key == "error"
		return !failed
	})
	if !failed {
		w.io.Notef("%s %s", w.io.ErrPalette().Warn("warning:"), visible.Line(r.Message))
	}
	return nil
}

// WithAttrs implements slog.Handler. Attributes are not printed.
func (w warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements slog.Handler.
func (w warnings) WithGroup(string) slog.Handler { return w }
