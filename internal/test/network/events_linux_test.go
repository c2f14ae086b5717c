package network

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// event is what happens to the connections of a role.
type event struct {
	name    string
	quick   string                 // the transports where it takes about a second
	applies func(c *cell) bool     // reports whether a transport and role know the event; nil is all
	secure  bool                   // over TLS
	config  func(c *cell) []string // lines for the broker; nil for none
	prepare func(c *cell)          // runs before anything connects; nil for nothing
	strike  func(c *cell)          // makes it happen; may set noticed and healed of the cell
	strict  bool                   // no event that was confirmed may be lost, which takes another run
	direct  bool                   // nothing is in between that could acknowledge an event, and lose it
	smooth  func(c *cell) bool     // reports whether no message may fail, and no event may be lost; nil is never
}

func (e event) seamless(c *cell) bool { return e.smooth != nil && e.smooth(c) }

func events() []event {
	return []event{
		{name: "vanish", strict: true, direct: true, strike: vanish},
		{name: "silent address", quick: "tcp", applies: connects, prepare: behindSilent, strike: (*cell).cut},
		{name: "half-open after 60 s idle", strict: true, direct: true, strike: idle},
		{name: "stalled handshake", strict: true, secure: true, prepare: before, strike: stallHandshake},
		{name: "stalled frame", strict: true, prepare: before, strike: stallFrame},
		{name: "reply, then close", quick: "tcp redis nats", strict: true, prepare: before, strike: func(c *cell) { c.damage(last) }},
		{name: "refused", quick: "tcp redis nats", applies: connects, prepare: before, strike: refuse},
		{name: "limit reached", config: limited, prepare: before, strike: fill},
		{name: "lame duck", quick: "tcp redis", config: clustered, prepare: second, strike: retire, smooth: announced},
		{name: "disk full", applies: stores, config: smallDisk, prepare: before, strike: fillDisk},
	}
}

// connects reports whether the role connects to something. A service without a broker listens.
func connects(c *cell) bool { return c.transport.broker != nil || c.role == caller }

func before(c *cell) { c.gate = newGate(c, "127.0.0.1:0", c.hub) }

// cut ends the role's connections.
func (c *cell) cut() { c.gate.cut() }

// vanish is a firewall or a load balancer that forgets the connections.
func vanish(c *cell) { testenv.Forget(c, slices.Collect(maps.Keys(c.ports))...) }

// idle is the same while nothing is sent for a minute.
func idle(c *cell) {
	c.traffic.end()
	minute := time.NewTimer(time.Minute)
	defer minute.Stop()
	c.struck = time.Now()
	vanish(c)
	testenv.Eventually(c, limit, "the connection is given up", c.gaveUp)
	c.noticed = time.Now()
	<-minute.C
	c.healed = time.Now()
	c.traffic.start()
}

// behindSilent gives the gate a host name whose first address does not answer.
func behindSilent(c *cell) {
	c.gate = newGate(c, net.JoinHostPort(testenv.OwnIP, "0"), c.hub)
	c.name = "peer-of-" + string(c.role)
	testenv.SetHost(c, c.name, testenv.SilentIP, testenv.OwnIP)
}

// stallHandshake ends the connections. The peer of the next one stops before the TLS handshake.
func stallHandshake(c *cell) {
	if c.broker == nil && c.role == service {
		c.occupy(nil)
		return
	}
	gone := make(chan struct{})
	c.gate.mute <- gone
	c.cut()
	await(c, "the stalled connection is given up", gone)
	c.noticed = time.Now()
}

// stallFrame makes the peer stop in the middle of a message.
func stallFrame(c *cell) {
	if c.broker == nil && c.role == service {
		c.occupy([]byte(`100#{"pattern"`))
		return
	}
	c.damage(half)
}

// damage does something to the next request or reply that the role receives, and to its connection.
func (c *cell) damage(do func(from, to net.Conn, data []byte, at int)) {
	d := &damage{text: `"pattern"`, do: do, done: make(chan uint16, 1)}
	switch {
	case c.role == caller:
		d.text = `"response"`
		c.gate.toNear.Store(d)
	case c.broker == nil:
		c.gate.toFar.Store(d)
	default:
		c.gate.toNear.Store(d)
	}
	select {
	case port := <-d.done:
		if c.broker != nil || c.role == caller {
			c.ports = map[uint16]bool{port: true}
		}
	case <-time.After(limit):
		c.Fatalf("not within %s: a message arrives", limit)
	}
}

// occupy takes all places of a service that listens with connections that stop after some data, and makes the client connect
// again. It waits until the service has closed the first of them.
func (c *cell) occupy(data []byte) {
	c.Helper()
	var first net.Conn
	for range places {
		conn, err := net.Dial("tcp", c.hub)
		if err != nil {
			c.Fatal(err)
		}
		c.Cleanup(func() { _ = conn.Close() })
		_, _ = conn.Write(data)
		if first == nil {
			first = conn
		}
	}
	c.cut()
	_, _ = io.Copy(io.Discard, first)
	c.noticed = time.Now()
}

// refuse closes the port for a while.
func refuse(c *cell) {
	c.gate.close()
	testenv.Eventually(c, limit, "the connection is given up", c.gaveUp)
	c.noticed = time.Now()
	if c.role == caller {
		c.traffic.awaitFailures(enough)
	}
	c.gate.open()
	c.healed = time.Now()
}

func limited(c *cell) []string {
	if c.full == nil {
		return nil
	}
	return c.full(c)
}

// fill takes all places while the role is disconnected, and frees them after a while.
func fill(c *cell) {
	c.gate.close()
	testenv.Eventually(c, limit, "the connection is given up", c.gaveUp)
	c.noticed = time.Now()
	var others []*micro.Client
	var err error
	for len(others) < 2*places && (err == nil || errors.Is(err, micro.ErrNotServed)) {
		other := micro.NewClient(c.dial(c.hub, nil), micro.WithTimeout(2*time.Second))
		others = append(others, other)
		err = other.Emit(c.Context(), note, 0)
	}
	if c.broker != nil && (err == nil || errors.Is(err, micro.ErrNotServed)) {
		c.Errorf("the broker accepts %d connections", len(others))
	}
	c.gate.open()
	c.traffic.awaitFailures(enough)
	for _, other := range others {
		_ = other.Close()
	}
	c.healed = time.Now()
}

// clustered is the configuration of the first of two NATS servers.
func clustered(c *cell) []string {
	if c.transport.name != "nats" {
		return nil
	}
	c.cluster = freeAddress(c)
	return []string{fmt.Sprintf("cluster { name: pair, listen: %q }", c.cluster)}
}

// second starts another service or another NATS server.
func second(c *cell) {
	switch {
	case c.broker == nil:
		c.also = freeAddress(c)
		c.serve(c.listen(c.also, nil, places))
	case c.cluster != "":
		c.also = testenv.PrivateNATS(c, fmt.Sprintf("cluster { name: pair, listen: %q, routes: [\"nats://%s\"] }", freeAddress(c), c.cluster)).Addr
	}
}

// announced reports whether the peer announces its end, and another one is there.
func announced(c *cell) bool { return c.also != "" }

// retire stops the hub without force. If there is no other, it starts again.
func retire(c *cell) {
	switch {
	case c.broker == nil:
		c.stop()
	case c.cluster != "":
		c.broker.LameDuck()
	default:
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			c.broker.Stop()
		}()
		testenv.Eventually(c, limit, "the connection is given up", c.gaveUp)
		c.noticed = time.Now()
		<-stopped
		c.broker.Start()
		c.healed = time.Now()
	}
}

// stores reports whether the transport has a broker that stores something.
func stores(c *cell) bool { return c.transport.disk != "" }

// smallDisk gives the broker a file system of its own.
func smallDisk(c *cell) []string {
	c.folder = c.TempDir()
	if err := syscall.Mount("tmpfs", c.folder, "tmpfs", 0, "size="+c.transport.disk); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = syscall.Unmount(c.folder, syscall.MNT_DETACH) })
	before := os.Getenv("TMPDIR")
	_ = os.Setenv("TMPDIR", c.folder)
	c.Cleanup(func() { _ = os.Setenv("TMPDIR", before) })
	if c.transport.name == "redis" {
		return []string{"save 3600 1"}
	}
	return nil
}

// fillDisk fills the broker's file system, for as long as messages fail because of it.
func fillDisk(c *cell) {
	file, err := os.Create(filepath.Join(c.folder, "full"))
	if err != nil {
		c.Fatal(err)
	}
	defer file.Close()
	if c.transport.name == "redis" {
		c.fillUp(file, 0)
		redisCannotSave(c)
		c.cut() // an open connection does not notice it
		return
	}
	c.fillUp(file, 512<<10)
	c.traffic.awaitFailures(enough)
	c.noticed = time.Now()
	if err := file.Truncate(0); err != nil {
		c.Fatal(err)
	}
	c.healed = time.Now()
}

// fillUp writes to a file until its file system has so many bytes left.
func (c *cell) fillUp(file *os.File, left uint64) {
	c.Helper()
	for {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(c.folder, &disk); err != nil {
			c.Fatal(err)
		}
		if disk.Bavail*uint64(disk.Bsize) <= left { //nolint:gosec // a size
			return
		}
		if _, err := file.Write(make([]byte, disk.Bsize)); err != nil {
			c.Fatal(err)
		}
	}
}

// redisCannotSave makes Redis notice that it cannot save. It then rejects writes, and PING.
func redisCannotSave(c *cell) {
	conn, err := net.Dial("tcp", c.hub)
	if err != nil {
		c.Fatal(err)
	}
	defer conn.Close()
	reply := make([]byte, 64<<10)
	ask := func(command string) string {
		if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
			c.Fatal(err)
		}
		n, err := conn.Read(reply)
		if err != nil {
			c.Fatal(err)
		}
		return string(reply[:n])
	}
	ask("SET a b")
	ask("BGSAVE")
	testenv.Eventually(c, limit, "Redis cannot save", func() bool { return strings.HasPrefix(ask("PING"), "-MISCONF") })
}
