//go:build !windows

package disk_test

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/msctl/msctl/internal/disk"
)

// TestUninterrupted sends signals that would end the test.
func TestUninterrupted(t *testing.T) {
	seen := make(chan os.Signal, 1)
	err := disk.Uninterrupted(func() error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			return err
		}
		signal.Notify(seen, syscall.SIGTERM)
		defer signal.Stop(seen)
		err := syscall.Kill(os.Getpid(), syscall.SIGTERM)
		<-seen
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
