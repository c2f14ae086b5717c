package runlog

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/term"
)

// TestReadable checks the development format of both handlers of slog.
func TestReadable(t *testing.T) {
	plain := term.Palette{}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		log := slog.New(handler(&b)).With("service", "items")
		at := time.Date(2026, 11, 29, 12, 3, 4, 5_000_000, time.Local)
		write := func(msg string, args ...any) string {
			b.Reset()
			record := slog.NewRecord(at, slog.LevelWarn, msg, 0)
			record.Add(args...)
			if err := log.Handler().Handle(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			return strings.TrimSuffix(b.String(), "\n")
		}
		for _, tt := range []struct{ line, service, want string }{
			{write("listening", "port", 3002, "host", "127.0.0.1"), "items", "12:03:04.005 WARN listening port=3002 host=127.0.0.1"},
			{write("not found: a=b", "error", "no such item"), "items", `12:03:04.005 WARN not found: a=b error="no such item"`},
			{write("two\nlines", "empty", ""), "items", `12:03:04.005 WARN "two\nlines" empty=""`},
			{write("listening"), "orders", "12:03:04.005 WARN listening service=items"},
		} {
			got, ok := readable(tt.line, tt.service, plain)
			if !ok || got != tt.want {
				t.Errorf("%s: %s\nis shown as %q (%v), want %q", name, tt.line, got, ok, tt.want)
			}
		}
	}
	for _, line := range []string{
		"", "listening on 3002", "time=now level=INFO msg=x", "time=2026-11-29T12:03:04Z msg=x", `time=2026-11-29T12:03:04Z level=INFO msg="x`, "{}", "{",
		`{"level":30,"time":1532081790730,"msg":"pino"}`, `{"time":"2026-11-29T12:03:04Z","level":"INFO","msg":"x"} more`, "time=2026-11-29T12:03:04Z level=INFO and more",
		`{"event":"listening","nest":"12.1.1"}`, "[Nest] 4711  - LOG [NestFactory] time=x",
	} {
		if got, ok := readable(line, "items", plain); ok {
			t.Errorf("%q is shown as %q, want it as it is", line, got)
		}
	}
}
