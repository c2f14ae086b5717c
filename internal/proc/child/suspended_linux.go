package child

import (
	"os"
	"strconv"
	"strings"
)

// Suspended reports whether a process has been stopped, as by Ctrl-Z, and not continued.
func Suspended(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ") // the name may contain anything
	return strings.HasPrefix(rest, "T ")
}
