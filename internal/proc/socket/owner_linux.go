package socket

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ownersOf looks for the sockets that listen at the address, and then for the processes
// that have them open. Sockets that listen on all addresses count only if no socket
// listens at this one, because the kernel prefers the latter.
func ownersOf(_ context.Context, at netip.AddrPort) []Owner {
	exact, all := map[string]bool{}, map[string]bool{}
	for inode, l := range listeningSockets() {
		switch {
		case l.Port() != at.Port():
		case l.Addr() == at.Addr():
			exact[inode] = true
		case l.Addr().IsUnspecified() && (l.Addr().Is6() || at.Addr().Is4()):
			all[inode] = true
		}
	}
	if len(exact) == 0 {
		exact = all
	}
	var owners []Owner
	eachSocket(func(pid int, inode string) {
		if exact[inode] && !slices.ContainsFunc(owners, func(o Owner) bool { return o.Pid == pid }) {
			comm, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm") // optional
			owners = append(owners, Owner{pid, strings.TrimSpace(string(comm))})
		}
	})
	return owners
}

// ListeningAt returns the addresses at which the processes listen for which includes
// returns true, sorted. It returns none if the system does not reveal them.
func ListeningAt(includes func(pid int) bool) []netip.AddrPort {
	sockets := listeningSockets()
	known := map[int]bool{}
	var found []netip.AddrPort
	eachSocket(func(pid int, inode string) {
		at, listens := sockets[inode]
		if !listens {
			return
		}
		if _, seen := known[pid]; !seen {
			known[pid] = includes(pid)
		}
		if known[pid] && !slices.Contains(found, at) {
			found = append(found, at)
		}
	})
	slices.SortFunc(found, netip.AddrPort.Compare)
	return found
}

// eachSocket calls f for each socket that a process has open. It skips the processes of
// other users.
func eachSocket(f func(pid int, inode string)) {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue // it belongs to another user, or has been closed
		}
		inode, ok := strings.CutPrefix(target, "socket:[")
		if !ok {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
			f(pid, strings.TrimSuffix(inode, "]"))
		}
	}
}

// listeningSockets returns the addresses of all listening TCP sockets by their inodes.
func listeningSockets() map[string]netip.AddrPort {
	found := map[string]netip.AddrPort{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		const listening = "0A"
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != listening || fields[9] == "0" {
				continue
			}
			if at, ok := kernelAddress(fields[1]); ok {
				found[fields[9]] = at
			}
		}
		_ = f.Close()
	}
	return found
}

// kernelAddress parses an address of /proc/net/tcp: 32-bit words in the byte order of the
// machine, and a port.
func kernelAddress(text string) (netip.AddrPort, bool) {
	host, portText, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	port, portErr := strconv.ParseUint(portText, 16, 16)
	if err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), ok
}
