//go:build unix

package microtcp

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
)

// TestUnixSocket serves and calls on a Unix socket, also on one that a killed process has
// left behind, and not on one that is in use or that is no socket.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "items.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	r := startOn(t, quietServer(), Listen("unix://"+path))
	for _, address := range []string{"unix://" + path, path, "127.0.0.1:1,unix://" + path} {
		if got, err := micro.Call[string](t.Context(), client(t, address), echo, "x"); got != "x" || err != nil {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
	if err := quietServer().Serve(t.Context(), Listen(path, WithListenRetry(0, 0))); err == nil {
		t.Error("a second server replaced the socket")
	}
	r.end(t)
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := quietServer().Serve(t.Context(), Listen(path, WithListenRetry(0, 0))); err == nil {
		t.Error("a server replaced a file")
	}
}
