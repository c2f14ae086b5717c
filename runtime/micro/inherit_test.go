//go:build unix

package micro_test

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
)

// TestInheritedListener hands this process a socket the way a supervisor does:
// it is taken once, and what is left in the environment is what is not taken.
func TestInheritedListener(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	conn, err := open.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	var failure error
	if err := conn.Control(func(own uintptr) { fd, failure = syscall.Dup(int(own)) }); err != nil || failure != nil {
		t.Fatal(err, failure)
	}
	t.Setenv(micro.InheritEnv, fmt.Sprintf("3002=%d probe=2", fd))

	if l, err := micro.InheritedListener(":3003"); l != nil || err != nil {
		t.Errorf("a port that was not handed over gives %v, %v", l, err)
	}
	l, err := micro.InheritedListener("127.0.0.1:3002")
	if err != nil || l == nil {
		t.Fatalf("no socket: %v", err)
	}
	defer l.Close()
	if got, want := l.Addr().String(), open.Addr().String(); got != want {
		t.Errorf("the socket listens on %s, want %s", got, want)
	}
	if again, err := micro.InheritedListener("127.0.0.1:3002"); again != nil || err != nil {
		t.Errorf("a second time it gives %v, %v", again, err)
	}
	if got, want := os.Getenv(micro.InheritEnv), "probe=2"; got != want {
		t.Errorf("left in the environment: %q, want %q", got, want)
	}
	if _, err := micro.InheritedListener("probe"); err == nil {
		t.Error("standard error is taken for a socket")
	}
}
