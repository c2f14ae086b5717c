package microtcp

import (
	"errors"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestRequestTooLarge checks that a server disconnects the sender of a packet above its limit, and
// logs both sizes.
func TestRequestTooLarge(t *testing.T) {
	var log testenv.Log
	s := micro.NewServer(micro.WithLogger(log.Logger()))
	r := start(t, s, WithMaxBufferSize(1000))
	_, err := micro.Call[string](t.Context(), client(t, r.addr), echo, strings.Repeat("x", 5000))
	if !errors.Is(err, micro.ErrConnectionLost) {
		t.Errorf("%v, want ErrConnectionLost", err)
	}
	eventually(t, "it is logged", func() bool {
		return strings.Contains(log.String(), "characters exceeds the limit of 1000 (WithMaxBufferSize)")
	})
}
