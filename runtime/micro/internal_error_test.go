package micro_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

// TestInternalError: with WithInternalError, a caller gets its status and message, and the time, for errors that are not meant for
// it, whatever made them. The log has the error in any case.
func TestInternalError(t *testing.T) {
	pattern := micro.Cmd("work")
	notJSON := func() {}
	const own = `^\{"status":500,"message":"Internal microservice error","timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}$`
	for _, c := range []struct {
		name     string
		handler  func(context.Context, micro.None) (any, error)
		with     bool
		want     string // a regular expression for the payload
		inTheLog string
	}{
		{"an error", func(context.Context, micro.None) (any, error) { return nil, errors.New("disk full") }, true, own, "disk full"},
		{"a panic", func(context.Context, micro.None) (any, error) { panic("disk full") }, true, own, "disk full"},
		{"a reply that is not JSON", func(context.Context, micro.None) (any, error) { return notJSON, nil }, true, own, "func()"},
		{"an error for the caller", func(context.Context, micro.None) (any, error) { return nil, micro.Errorf(404, "gone") }, true, `^\{"status":404,"message":"gone"\}$`, ""},
		{"the deadline", func(context.Context, micro.None) (any, error) { return nil, context.DeadlineExceeded }, true, `^\{"status":"error","message":"Internal server error"\}$`, "deadline"},
		{"the default", func(context.Context, micro.None) (any, error) { return nil, errors.New("disk full") }, false, `^\{"status":"error","message":"Internal server error"\}$`, "disk full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log testenv.Log
			options := []micro.ServerOption{micro.WithLogger(log.Logger())}
			if c.with {
				options = append(options, micro.WithInternalError(500, "Internal microservice error"))
			}
			s := micro.NewServer(options...)
			micro.Handle(s, pattern, c.handler)
			_, err := micro.Call[any](t.Context(), microtest.Serve(t, s), pattern, micro.None{})
			var remote *micro.Error
			if !errors.As(err, &remote) || !regexp.MustCompile(c.want).Match(remote.Payload) {
				t.Errorf("got %v, want a payload like %s", err, c.want)
			}
			testenv.Eventually(t, time.Minute, "the log contains "+c.inTheLog, func() bool { return strings.Contains(log.String(), c.inTheLog) })
		})
	}
}
