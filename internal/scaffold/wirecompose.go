package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const composeFile = "compose.yaml"

// wireCompose adds the service to the compose file, if it is as msctl knows it.
func (d *Dir) wireCompose(r *Result, s Service) error {
	before, err := d.read(composeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	after, ok := addToCompose(string(before), s, d.gatewayName())
	if !ok || !extends(before, []byte(after), s.Name) {
		r.byHand("%s is not as msctl knows it: add service %s there, and %s=tcp://%s:%d to the gateway's environment",
			composeFile, s.Name, s.Variable(), s.Name, s.Port)
		return nil
	}
	r.edit(composeFile, before, []byte(after))
	return nil
}

func (d *Dir) gatewayName() string {
	if g := d.gateway(); g != nil {
		return g.Name
	}
	return ""
}

// extends makes sure that after says what before did, with one more service and
// a gateway that knows it.
func extends(before, after []byte, name string) bool {
	var a, b map[string]any
	if yaml.Unmarshal(before, &a) != nil || yaml.Unmarshal(after, &b) != nil {
		return false
	}
	old, _ := a["services"].(map[string]any)
	now, _ := b["services"].(map[string]any)
	if old == nil || now == nil || old[name] != nil || now[name] == nil || len(now) != len(old)+1 {
		return false
	}
	for other, was := range old {
		if is := now[other]; other != "gateway" && !reflect.DeepEqual(was, is) {
			return false
		}
	}
	delete(a, "services")
	delete(b, "services")
	return reflect.DeepEqual(a, b)
}

// addToCompose inserts lines. ok is false where the text has another form.
func addToCompose(text string, s Service, gateway string) (out string, ok bool) {
	if strings.Contains(text, "\t") || strings.Contains(text, "\r") {
		return "", false
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	services := slices.Index(lines, "services:")
	if services < 0 {
		return "", false
	}
	at := blockEnd(lines, services)
	if gateway != "" {
		g := indexIn(lines, services, "  "+gateway+":")
		if g < 0 {
			return "", false
		}
		if lines, ok = addToBlock(lines, g, "environment", fmt.Sprintf("%s: tcp://%s:%d", s.Variable(), s.Name, s.Port),
			fmt.Sprintf("%s=tcp://%s:%d", s.Variable(), s.Name, s.Port)); !ok {
			return "", false
		}
		if lines, ok = addToBlock(lines, g, "depends_on", "", s.Name); !ok {
			return "", false
		}
		at = g
	}
	block := composeService(s, strings.Contains(text, "&program"))
	if at == blockEnd(lines, services) {
		block = append([]string{""}, block...)
	} else {
		block = append(block, "")
	}
	return strings.Join(slices.Insert(lines, at, block...), "\n") + "\n", true
}

func composeService(s Service, anchored bool) []string {
	block := []string{"  " + s.Name + ":"}
	if anchored {
		block = append(block, "    <<: *program")
	}
	return append(block,
		"    build:",
		"      context: .",
		"      args:",
		"        SERVICE: "+s.Name,
		"    environment:",
		"      APP_ENV: production",
		fmt.Sprintf("      MS_PORT: %q", fmt.Sprint(s.Port)),
	)
}

// addToBlock adds to a mapping or a list under a key of the block at index
// start: member to the one, item to the other. An empty member: only a list will
// do.
func addToBlock(lines []string, start int, key, member, item string) ([]string, bool) {
	k := indexIn(lines, start, "    "+key+":")
	if k < 0 || k+1 >= len(lines) {
		return lines, false
	}
	end := blockEnd(lines, k)
	first := strings.TrimLeft(lines[k+1], " ")
	indent := lines[k+1][:len(lines[k+1])-len(first)]
	switch {
	case end == k+1:
		return lines, false
	case strings.HasPrefix(first, "- "):
		return slices.Insert(lines, end, indent+"- "+item), true
	case member == "":
		return lines, false
	}
	return slices.Insert(lines, end, indent+member), true
}

// indexIn finds a line in the block that begins at index start.
func indexIn(lines []string, start int, line string) int {
	end := blockEnd(lines, start)
	for i := start + 1; i < end; i++ {
		if strings.TrimRight(lines[i], " ") == line {
			return i
		}
	}
	return -1
}

// blockEnd returns the index behind the last line that is indented deeper than
// the line at start, blank lines and comments at the end left out.
func blockEnd(lines []string, start int) int {
	depth := func(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
	end := start + 1
	for i := start + 1; i < len(lines); i++ {
		if strings.TrimSpace(lines[i]) == "" {
			continue
		}
		if depth(lines[i]) <= depth(lines[start]) {
			break
		}
		end = i + 1
	}
	return end
}
