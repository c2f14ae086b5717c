package usage

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc on every architecture that Go supports (USER_HZ is 100).
const tick = 10 * time.Millisecond

// totalsOf adds up the processes of each group.
func totalsOf(groups []int) map[int]total {
	found := map[int]total{}
	if len(groups) == 0 {
		return found
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if name := entry.Name(); name[0] < '0' || name[0] > '9' {
			continue
		}
		text, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		group, t, ok := parseStat(string(text))
		if ok && slices.Contains(groups, group) {
			sum := found[group]
			found[group] = total{sum.cpu + t.cpu, sum.memory + t.memory}
		}
	}
	return found
}

// parseStat parses the stat file of a process; see proc(5).
func parseStat(text string) (group int, t total, ok bool) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // the name may contain anything
	if len(fields) < 22 {
		return 0, t, false
	}
	number := func(field int) int64 { // as numbered by proc(5), whose third follows the name
		n, err := strconv.ParseInt(fields[field-3], 10, 64)
		ok = ok && err == nil
		return n
	}
	ok = true
	group = int(number(5))
	t.cpu = time.Duration(number(14)+number(15)) * tick
	t.memory = number(24) * int64(os.Getpagesize())
	return group, t, ok
}
