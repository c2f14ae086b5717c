package socket

import (
	"context"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ownersOf asks lsof, which is part of macOS.
func ownersOf(ctx context.Context, at netip.AddrPort) []Owner {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/sbin/lsof", "-nP", "-iTCP:"+strconv.Itoa(int(at.Port())), "-sTCP:LISTEN", "-Fpcn").Output()
	if err != nil {
		return nil
	}
	return parseOwners(string(out), at)
}

// ListeningAt returns nothing: lsof is too slow to list all sockets.
func ListeningAt(func(pid int) bool) []netip.AddrPort { return nil }

// parseOwners reads the output of lsof -Fpcn: a line for each field, which begins with
// the letter of the field. A process that listens on all addresses counts only if no
// other process listens at this one.
func parseOwners(out string, at netip.AddrPort) []Owner {
	var exact, all []Owner
	var current Owner
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		value := line[1:]
		switch line[0] {
		case 'p':
			current = Owner{}
			current.Pid, _ = strconv.Atoi(value) // 0 if it is malformed, which is no process
		case 'c':
			current.Name = value
		case 'n':
			switch value {
			case at.String():
				exact = append(exact, current)
			case "*:" + strconv.Itoa(int(at.Port())):
				all = append(all, current)
			}
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return all
}
