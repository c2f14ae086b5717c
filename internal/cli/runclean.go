package cli

import "strings"

// cleanLine takes from a service's line what would do harm between other lines:
// all escape sequences but colours, and colours too unless they are wanted;
// carriage returns and other control characters but the tab. A line that leaves
// a colour on gets it turned off.
func cleanLine(line string, color bool) string {
	if strings.IndexFunc(line, isControl) < 0 {
		return line
	}
	var b strings.Builder
	colored := false
	for i := 0; i < len(line); {
		if line[i] != '\x1b' {
			if c := rune(line[i]); !isControl(c) {
				b.WriteByte(line[i])
			}
			i++
			continue
		}
		end := escapeEnd(line, i)
		if sequence := line[i:end]; color && strings.HasPrefix(sequence, "\x1b[") && strings.HasSuffix(sequence, "m") {
			b.WriteString(sequence)
			colored = sequence != "\x1b[0m" && sequence != "\x1b[m"
		}
		i = end
	}
	if colored {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// escapeEnd is where the escape sequence at start ends: CSI sequences at their
// letter, OSC and other strings at BEL or ST, the rest after one character.
func escapeEnd(line string, start int) int {
	i := start + 1
	if i >= len(line) {
		return i
	}
	switch line[i] {
	case '[':
		for i++; i < len(line); i++ {
			if line[i] >= '@' && line[i] <= '~' {
				return i + 1
			}
		}
		return len(line)
	case ']', 'P', '_', '^', 'X':
		for i++; i < len(line); i++ {
			if line[i] == '\a' {
				return i + 1
			}
			if line[i] == '\x1b' && i+1 < len(line) && line[i+1] == '\\' {
				return i + 2
			}
		}
		return len(line)
	}
	return i + 1
}
