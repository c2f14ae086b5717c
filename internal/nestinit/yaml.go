package nestinit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
)

// keys are the keys of a service, in their order in the file.
var keys = []string{"kind", "command", "dir", "transport", "queue", "port", "ready", "depends_on", "watch"}

// text returns the value of a key as YAML, or "" if the key is not written.
func (s *Service) text(key string) string {
	switch key {
	case "kind":
		if s.Kind == workspace.KindGateway {
			return string(s.Kind)
		}
	case "command":
		return workspace.CommandText(s.Command)
	case "dir":
		if s.Dir != "" {
			return workspace.Scalar(s.Dir)
		}
	case "transport":
		if s.Transport != workspace.TCP || s.Comments["transport"].Text != "" {
			return string(s.Transport)
		}
	case "queue":
		if s.Queue != "" {
			return workspace.Scalar(s.Queue)
		}
	case "port":
		if s.Port != 0 {
			return fmt.Sprint(s.Port)
		}
	case "ready":
		return string(s.Ready)
	case "depends_on":
		if len(s.DependsOn) > 0 {
			return workspace.ListText(s.DependsOn)
		}
	case "watch":
		if len(s.Watch) > 0 {
			return workspace.ListText(s.Watch)
		}
	}
	return ""
}

// header precedes the file. Its last word is the digest of what follows.
const header = "# Written by `msctl init` from the sources of the applications; it is yours to edit.\n" +
	"# Check the lines with \"guess\". `msctl help msctl.yaml` describes the file. Digest: "

// YAML returns the file.
func (p *Plan) YAML() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\n", p.Name)
	if len(p.Brokers) > 0 {
		b.WriteString("\nbrokers:\n")
		for _, line := range p.Brokers {
			writeLine(&b, "  ", line)
		}
	}
	b.WriteString("\nservices:\n")
	for i, s := range p.Services {
		if i > 0 {
			b.WriteString("\n")
		}
		s.write(&b)
	}
	return sealed(b.String())
}

// sealed returns a file with the header.
func sealed(body string) []byte { return []byte(header + digest(body) + "\n" + body) }

func digest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:6])
}

// Unchanged reports whether the text of a file is as `msctl init` wrote it, apart from its
// line endings.
func Unchanged(text []byte) bool {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	rest, ok := strings.CutPrefix(string(text), header)
	if !ok {
		return false
	}
	sum, body, _ := strings.Cut(rest, "\n")
	return sum == digest(body)
}

func (s *Service) write(b *strings.Builder) {
	var lines strings.Builder
	fmt.Fprintf(&lines, "%s:\n", s.Name)
	for _, key := range keys {
		if value := s.text(key); value != "" {
			writeRaw(&lines, "  ", key+": "+value, s.Comments[key])
		}
	}
	live := 0
	for _, line := range s.Variables {
		if !line.Disabled {
			live++
		}
	}
	if live > 0 {
		lines.WriteString("  env:\n")
	} else if len(s.Variables) > 0 {
		lines.WriteString("  # env:\n")
	}
	for _, line := range s.Variables {
		writeLine(&lines, "    ", line)
	}
	fmt.Fprintf(b, "  # %s\n", visible.Line(s.About))
	for _, note := range s.Notes {
		fmt.Fprintf(b, "  # %s.\n", visible.Line(note))
	}
	prefix := "  "
	if s.Disabled != "" {
		fmt.Fprintf(b, "  # Commented out: %s.\n", visible.Line(s.Disabled))
		prefix = "  # "
	}
	for line := range strings.Lines(lines.String()) {
		b.WriteString(prefix + line)
	}
}

func writeLine(b *strings.Builder, indent string, line Line) {
	if line.Disabled {
		indent += "# "
	}
	value := ""
	if line.Value != "" {
		value = " " + workspace.Scalar(line.Value)
	}
	writeRaw(b, indent, line.Name+":"+value, line.Comment)
}

func writeRaw(b *strings.Builder, indent, text string, c Comment) {
	b.WriteString(indent + text)
	if c.Text != "" {
		b.WriteString("  # " + visible.Line(c.String()))
	}
	b.WriteString("\n")
}
