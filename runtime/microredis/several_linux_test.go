package microredis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// silentListener accepts connections at an address until the test ends, and sends nothing.
func silentListener(t *testing.T, address string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// callAtOnce makes 100 calls at once, none of which may fail.
func callAtOnce(t *testing.T, c *micro.Client) {
	t.Helper()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
				t.Errorf("call %d: %q, %v", i, got, err)
			}
		})
	}
	all.Wait()
}

// TestSilentHostFirst checks that no message waits for an address that accepts connections
// and stays silent while another one is well, on the first connection and on later ones.
func TestSilentHostFirst(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		broker := testenv.PrivateRedis(t)
		_, port, _ := net.SplitHostPort(broker.Addr)
		silentListener(t, "127.0.0.2:"+port)
		testenv.SetHost(t, "redis", "127.0.0.2", testenv.SilentIP, "127.0.0.1")
		url := "redis://redis:" + port
		// An attempt that begins while Redis is gone waits for the silent addresses.
		limit := WithDialTimeout(15 * time.Second)
		start(t, quietServer(), Listen(url, limit))
		c := client(t, url, limit)
		callAtOnce(t, c)
		broker.Kill()
		broker.Start()
		awaitRecovery(t, c)
		callAtOnce(t, c)
	})
}

// TestSilentSentinelFirst checks that no message waits for a Sentinel that stays silent, nor
// for a master that does, of which only some Sentinels know that it has been replaced.
func TestSilentSentinelFirst(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		broker := testenv.PrivateRedis(t)
		silent, dropping := silentListener(t, "127.0.0.1:0"), testenv.SilentIP+":26379"
		stale, knowing := startSentinel(t, ""), startSentinel(t, "")
		stale.master = silent
		knowing.is(broker)
		for _, sentinels := range [][]string{
			{silent, knowing.addr},
			{dropping, knowing.addr},
			{stale.addr, knowing.addr},
			{silent, dropping, stale.addr, knowing.addr},
		} {
			url := "redis+sentinel://" + strings.Join(sentinels, ",") + "/shop"
			r := start(t, quietServer(), Listen(url, WithDialTimeout(time.Hour)))
			callAtOnce(t, client(t, url, WithDialTimeout(time.Hour)))
			r.end(t)
		}
	})
}

// TestReplicaIsNoMaster checks that a replica that a Sentinel still takes for the master is
// not used: what is published there does not reach the others.
func TestReplicaIsNoMaster(t *testing.T) {
	master := testenv.PrivateRedis(t)
	replica := testenv.PrivateRedis(t, "replicaof "+strings.ReplaceAll(master.Addr, ":", " "))
	stale, knowing := startSentinel(t, ""), startSentinel(t, "")
	stale.is(replica)
	knowing.is(master)
	url := "redis+sentinel://" + stale.addr + "," + knowing.addr + "/shop"
	start(t, quietServer(), Listen(master.URL))
	if got, err := micro.Call[string](t.Context(), client(t, url), echo, "x"); got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_, err := micro.Call[string](t.Context(), client(t, "redis+sentinel://"+stale.addr+"/shop"), echo, "x")
	if !errors.Is(err, micro.ErrUnreachable) || !strings.Contains(err.Error(), replica.Addr+" is a replica, not the master") {
		t.Errorf("there is only a replica: %v", err)
	}
}

// TestFailover kills a master. Its Sentinel makes its replica the master, and both sides follow.
func TestFailover(t *testing.T) {
	master := testenv.PrivateRedis(t)
	replica := testenv.PrivateRedis(t, "replicaof "+strings.ReplaceAll(master.Addr, ":", " "))
	see := tapInto(t, master.URL)
	eventually(t, "the replica is connected", func() bool {
		info, err := see.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "connected_slaves:1")
	})
	sentinel := testenv.Sentinel(t, master)
	asked := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr})
	defer asked.Close()
	eventually(t, "the Sentinel knows the replica", func() bool {
		found, err := asked.Replicas(t.Context(), "shop").Result()
		return err == nil && len(found) == 1 && found[0]["master-link-status"] == "ok"
	})
	start(t, quietServer(), Listen(sentinel.URL))
	conn := Dial(sentinel.URL, withLogger(slog.New(slog.DiscardHandler)))
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	defer c.Close()
	callAtOnce(t, c)
	master.Kill()
	awaitRecovery(t, c)
	callAtOnce(t, c)
	if at := conn.link.session().target; at != replica.Addr {
		t.Errorf("the client is at %s, want the replica at %s", at, replica.Addr)
	}
}

// TestAddressesChange checks that a host name is resolved again on each reconnection: Redis
// has moved to another address.
func TestAddressesChange(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		port, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		at := func(ip string) *testenv.Broker {
			return testenv.PrivateRedis(t, "bind "+ip, fmt.Sprint("port ", port))
		}
		first := at("127.0.0.2")
		testenv.SetHost(t, "redis", "127.0.0.2")
		url := fmt.Sprint("redis://redis:", port)
		start(t, quietServer(), Listen(url))
		c := client(t, url)
		callAtOnce(t, c)
		at("127.0.0.3")
		testenv.SetHost(t, "redis", "127.0.0.3")
		first.Kill()
		awaitRecovery(t, c)
		callAtOnce(t, c)
	})
}

// TestTooManyClients checks that a server and a client wait while Redis has no room for
// their connections, and that the error names the reason.
func TestTooManyClients(t *testing.T) {
	broker := testenv.PrivateRedis(t, "maxclients 3")
	var log testenv.Log
	s := quietServer(micro.WithLogger(logger(&log)))
	occupied := occupy(t, broker.Addr, 2) // one is left, but a session needs two
	l := Listen(broker.URL)
	served := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { served <- s.Serve(ctx, l) }()
	eventually(t, "the server logs the reason", func() bool {
		return strings.Contains(log.String(), "ERR max number of clients reached")
	})
	c := client(t, broker.URL)
	if err := c.Emit(t.Context(), note, 1); !errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), "ERR max number of clients reached") {
		t.Errorf("an event: %v", err)
	}
	_ = c.Close()
	for _, conn := range occupied {
		_ = conn.Close()
	}
	if err := l.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// occupy opens n connections that Redis has accepted.
func occupy(t *testing.T, addr string, n int) (all []net.Conn) {
	t.Helper()
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, "PING\r\n")
		if _, err := io.ReadFull(conn, make([]byte, len("+PONG\r\n"))); err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	return all
}
