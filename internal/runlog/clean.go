package runlog

import "strings"

// CleanLine removes from a line of a service what would disturb other lines: all
// escape sequences except colors, and colors as well unless color is set, and all
// control characters except tabs. It resets a color that the line leaves on.
func CleanLine(line string, color bool) string {
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

// escapeEnd returns the end of the escape sequence at start: CSI sequences end at
// their letter, OSC and other strings at BEL or ST, and the rest after one character.
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
