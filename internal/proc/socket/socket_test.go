package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	err = CheckFree(t.Context(), "items", address)
	var port *PortError
	if !errors.As(err, &port) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("CheckFree returned %v, want a *PortError that wraps EADDRINUSE", err)
	}
	if _, err := os.Stat("/proc/net/tcp"); err == nil {
		if want := fmt.Sprintf("pid %d (", os.Getpid()); !strings.HasPrefix(port.Owner, want) {
			t.Errorf("owner %q, want %q…", port.Owner, want)
		}
	}
	if want := "service items: port " + address + " is in use"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %q, want %q…", err, want)
	}
	_ = l.Close()
	if err := CheckFree(t.Context(), "items", address); err != nil {
		t.Errorf("after the port was closed: %v", err)
	}
}
