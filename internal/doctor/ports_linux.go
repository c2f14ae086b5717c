package doctor

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// listening is the state of a listening socket in /proc/net/tcp.
const listening = "0A"

// listeners returns the processes that listen on a TCP port, as far as this user may see them.
func listeners(port int) (list []process, known bool) {
	inodes := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		known = true
		for _, inode := range listeningInodes(text, port) {
			inodes["socket:["+inode+"]"] = true
		}
	}
	if len(inodes) == 0 {
		return nil, known
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, false
	}
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || !inodes[to] {
			continue // it has ended, or belongs to another user
		}
		pid, _ := strconv.Atoi(strings.Split(link, "/")[2]) // the pattern allows only digits first
		if pid > 0 && !slices.ContainsFunc(list, func(p process) bool { return p.pid == pid }) {
			list = append(list, process{pid, nameOf(pid)})
		}
	}
	slices.SortFunc(list, func(a, b process) int { return a.pid - b.pid })
	return list, known
}

// listeningInodes returns the inodes of the listening sockets of a port, from the text of /proc/net/tcp.
func listeningInodes(text []byte, port int) (inodes []string) {
	suffix := fmt.Sprintf(":%04X", port)
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == listening {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes
}

// nameOf returns the program of a process and what it runs, without other arguments, which may be secret.
func nameOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	words := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
	if err != nil || words[0] == "" {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return orElse(strings.TrimSpace(string(text)), "unknown")
	}
	name := filepath.Base(words[0])
	if script := firstScript(words[1:]); script != "" && isInterpreter(name) {
		name += " " + script
	}
	return name
}

func isInterpreter(name string) bool {
	return slices.ContainsFunc([]string{"node", "python", "ruby", "java", "bun", "deno"}, func(i string) bool { return strings.HasPrefix(name, i) })
}

func firstScript(args []string) string {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			if strings.ContainsAny(a, "=@: ") {
				return ""
			}
			return a
		}
	}
	return ""
}

// parentOf returns the parent of a process; 0 if it is not known.
func parentOf(pid int) int {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "PPid:"); ok {
			parent, _ := strconv.Atoi(strings.TrimSpace(value)) // 0 for anything else
			return parent
		}
	}
	return 0
}
