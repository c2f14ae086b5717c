package network

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// socket is one end of a TCP connection in this network.
type socket struct{ local, remote netip.AddrPort }

// open returns every end of a connection that its own process has not closed.
func open(tb testing.TB) (sockets []socket) {
	tb.Helper()
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	const established, closedByPeer = "01", "08"
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 3 && (fields[3] == established || fields[3] == closedByPeer) {
			sockets = append(sockets, socket{parseAddress(tb, fields[1]), parseAddress(tb, fields[2])})
		}
	}
	return sockets
}

// parseAddress parses "0100007F:1F90". The address is a number in the machine's byte order.
func parseAddress(tb testing.TB, text string) netip.AddrPort {
	tb.Helper()
	host, port, _ := strings.Cut(text, ":")
	ip, err := hex.DecodeString(host)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(ip) != 4 {
		tb.Fatalf("invalid address %q in /proc/net/tcp", text)
	}
	var bytes [4]byte
	binary.NativeEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(ip))
	return netip.AddrPortFrom(netip.AddrFrom4(bytes), uint16(number))
}

// portsTo returns the local ports of the connections to an address.
func portsTo(tb testing.TB, address string) map[uint16]bool {
	tb.Helper()
	ports, to := map[uint16]bool{}, netip.MustParseAddrPort(address)
	for _, s := range open(tb) {
		if s.remote == to {
			ports[s.local.Port()] = true
		}
	}
	return ports
}

// portsFrom returns the remote ports of the connections that an address has accepted.
func portsFrom(tb testing.TB, address string) map[uint16]bool {
	tb.Helper()
	ports, at := map[uint16]bool{}, netip.MustParseAddrPort(address)
	for _, s := range open(tb) {
		if s.local == at {
			ports[s.remote.Port()] = true
		}
	}
	return ports
}

// freeAddress returns a free port of 127.0.0.1.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		tb.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)).String() //nolint:gosec // a port
}
