package runlog

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/term"
)

// record is a line that a service has logged with log/slog.
type record struct {
	time       time.Time
	level, msg string
	rest       []string // key=value
}

// readable returns a line of slog's text or JSON handler in a form for development: the
// time of day, the level, the message, and the attributes, without the name of the service,
// which the prefix of the line contains. ok is false for any other line.
func readable(line, service string, c term.Palette) (text string, ok bool) {
	var r record
	if strings.HasPrefix(line, "{") {
		ok = r.parseJSON(line, service)
	} else {
		ok = r.parseText(line, service)
	}
	if !ok || r.time.IsZero() || r.level == "" {
		return "", false
	}
	level := r.level
	switch {
	case strings.HasPrefix(level, "ERROR"):
		level = c.Bad(level)
	case strings.HasPrefix(level, "WARN"):
		level = c.Warn(level)
	}
	parts := []string{c.Dim(r.time.Local().Format("15:04:05.000")), level, r.msg}
	return strings.Join(append(parts, r.rest...), " "), true
}

// add adds an attribute. text is its value as it is printed.
func (r *record) add(key, plain, text, service string) {
	switch key {
	case "time":
		r.time, _ = time.Parse(time.RFC3339Nano, plain) // the zero time means that this is no record
	case "level":
		r.level = plain
	case "msg":
		r.msg = plain
		if strings.ContainsFunc(plain, func(c rune) bool { return c < ' ' }) {
			r.msg = text
		}
	case "service":
		if plain == service {
			return
		}
		fallthrough
	default:
		r.rest = append(r.rest, key+"="+text)
	}
}

// parseText parses a line of slog's TextHandler.
func (r *record) parseText(line, service string) bool {
	if !strings.HasPrefix(line, "time=") {
		return false
	}
	for line != "" {
		key, rest, found := strings.Cut(line, "=")
		if !found || strings.ContainsAny(key, ` "`) || key == "" {
			return false
		}
		var text, plain string
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return false
			}
			text = quoted
			if plain, err = strconv.Unquote(quoted); err != nil {
				return false
			}
		} else {
			text, _, _ = strings.Cut(rest, " ")
			plain = text
		}
		r.add(key, plain, text, service)
		line = rest[len(text):]
		if line != "" && line[0] != ' ' {
			return false
		}
		line = strings.TrimPrefix(line, " ")
	}
	return true
}

// parseJSON parses a line of slog's JSONHandler.
func (r *record) parseJSON(line, service string) bool {
	in := json.NewDecoder(strings.NewReader(line))
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return false
	}
	for in.More() {
		key, err := in.Token()
		name, isText := key.(string)
		var raw json.RawMessage
		if err != nil || !isText || in.Decode(&raw) != nil {
			return false
		}
		text, plain := string(raw), string(raw)
		if bytes.HasPrefix(raw, []byte(`"`)) {
			if json.Unmarshal(raw, &plain) != nil {
				return false
			}
			if plain != "" && !strings.ContainsAny(plain, " \"=\\") && strconv.CanBackquote(plain) {
				text = plain
			}
		}
		r.add(name, plain, text, service)
	}
	_, err := in.Token()
	return err == nil && !in.More()
}
