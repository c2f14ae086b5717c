package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

const (
	firstPort = 10_000
	blockSize = 64 // ports; the first one of a block is kept, and the others are given out
	maxBlocks = 32 // of one process, which then gives out the same ports again

	// The fixed ports of the scripts in testdata/script are in this range, and never given out.
	firstOfScripts, lastOfScripts = 23_500, 23_999
)

// ports gives out ports in blocks. A process owns a block while it listens on the block's first port. Test processes that
// run at the same time therefore never choose the same port, not even between the choice and its use.
var ports struct {
	sync.Mutex
	blocks []block
	next   int // how many ports were tried
}

type block struct {
	first int
	claim net.Listener
}

// FreePort returns a free TCP port of the loopback addresses. It is below the range from which the system assigns ports: it
// stays free while nothing listens on it, and a client that dials it in the meantime cannot connect to itself.
func FreePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range maxBlocks * blockSize {
		i := ports.next / (blockSize - 1) % maxBlocks
		if i == len(ports.blocks) {
			claimed, err := claimBlock()
			if err != nil {
				return 0, err
			}
			ports.blocks = append(ports.blocks, claimed)
		}
		port := ports.blocks[i].first + 1 + ports.next%(blockSize-1)
		ports.next++
		if portIsFree(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port: all %d ports of this process are in use", maxBlocks*(blockSize-1))
}

func claimBlock() (block, error) {
	count := (firstEphemeralPort() - firstPort) / blockSize
	begin := rand.IntN(count)
	for i := range count {
		first := firstPort + (begin+i)%count*blockSize
		if first <= lastOfScripts && first+blockSize > firstOfScripts {
			continue
		}
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first)); err == nil {
			return block{first, listener}, nil
		}
	}
	return block{}, fmt.Errorf("find a free port: each of %d blocks of ports is in use", count)
}

// portIsFree returns whether nothing listens on the port at any address.
func portIsFree(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	return err == nil && listener.Close() == nil
}

// firstEphemeralPort returns the first port of the range from which the system assigns ports.
func firstEphemeralPort() int {
	const usual, atLeast = 32768, 12_000
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return usual
	}
	var first int
	if _, err := fmt.Sscan(string(text), &first); err != nil || first < atLeast {
		return usual
	}
	return first
}

// Port returns a free port, as FreePort does, as text.
func Port(t testing.TB) string {
	t.Helper()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}
