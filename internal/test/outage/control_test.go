package outage

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestControl prevents the connections of each transport. Control sees IP addresses, and calls report its error.
func TestControl(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		if conn, err := socket.Accept(); err == nil {
			accepted <- conn
		}
	}()
	_, port, _ := net.SplitHostPort(socket.Addr().String())
	prevented := errors.New("prevented by a test")
	control := func(_, address string, _ syscall.RawConn) error {
		if host, _, err := net.SplitHostPort(address); err != nil || net.ParseIP(host) == nil {
			t.Errorf("the address is %s", address)
		}
		return prevented
	}
	at := "localhost:" + port
	for name, conn := range map[string]micro.Conn{
		"TCP":      microtcp.Dial(at, microtcp.WithControl(control)),
		"RabbitMQ": microrabbit.Dial("amqp://"+at, "queue", microrabbit.WithControl(control)),
		"Redis":    microredis.Dial("redis://"+at, microredis.WithControl(control)),
		"sentinel": microredis.Dial("redis+sentinel://"+at+"/master", microredis.WithControl(control)),
		"NATS":     micronats.Dial("nats://"+at, micronats.WithControl(control)),
	} {
		c := micro.NewClient(conn, micro.WithTimeout(time.Minute))
		if _, err := micro.Call[int](t.Context(), c, echo, 1); !errors.Is(err, micro.ErrUnreachable) || !strings.Contains(err.Error(), prevented.Error()) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = socket.Close()
	if conn := <-accepted; conn != nil {
		t.Error("a connection was made")
		_ = conn.Close()
	}
}
