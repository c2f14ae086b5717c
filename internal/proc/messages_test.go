package proc

import (
	"context"
	"errors"
	"testing"

	"github.com/msctl/msctl/internal/tap"
)

// awaitMessage waits until the run has a message that matches, from the start on.
func (s *session) awaitMessage(matches func(m tap.Message) bool) (found tap.Message) {
	s.t.Helper()
	runs, err := Runs(s.t.Context(), s.supervisor.options.Workspace, s.supervisor.options.CacheDir)
	if err != nil || len(runs) != 1 {
		s.t.Fatalf("%d runs, error %v", len(runs), err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), testTimeout)
	defer cancel()
	err = runs[0].Messages(ctx, func(m tap.Message) bool {
		if matches(m) {
			found = m
			return false
		}
		return true
	})
	if err != nil {
		s.t.Fatalf("the message did not come: %v", err)
	}
	return found
}

// TestMessagesAreSecret checks that messages are not sent to a client without the secret of the run, and
// that waiting for them ends with the context and with the run.
func TestMessagesAreSecret(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  items:\n    path: ./items\n    port: $1\n")
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	runs, err := Runs(t.Context(), s.supervisor.options.Workspace, s.supervisor.options.CacheDir)
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, error %v", len(runs), err)
	}
	stranger := runs[0]
	stranger.Secret += "x"
	if err := stranger.Messages(t.Context(), func(tap.Message) bool { return true }); err == nil {
		t.Error("a client without the secret gets messages")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runs[0].Messages(ctx, func(tap.Message) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- runs[0].Messages(t.Context(), func(tap.Message) bool { return true }) }()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	<-ended // nil, or an error if the run had ended before
}
