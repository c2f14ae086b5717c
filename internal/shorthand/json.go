package shorthand

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// Problem is the reason why a text is malformed, and its offset in bytes.
type Problem struct {
	Offset  int
	Message string
}

// CheckJSON returns nil if text is exactly one JSON value (RFC 8259).
func CheckJSON(text string) *Problem {
	if json.Valid([]byte(text)) {
		return nil
	}
	// A pattern may be any JSON value, so the parser of patterns explains what is
	// wrong. The messages of encoding/json differ between versions of Go.
	_, err := micro.ParsePattern(text)
	var malformed *micro.PatternError
	if !errors.As(err, &malformed) {
		return &Problem{0, "nested too deeply"} // the one limit that only encoding/json has
	}
	message := malformed.Reason
	rest := text[malformed.Offset:]
	if strings.Contains(message, "value") && (strings.HasPrefix(rest, "'") || startsWithLetter(rest)) {
		message += " (JSON strings require double quotes)"
	}
	return &Problem{malformed.Offset, message}
}

func startsWithLetter(text string) bool {
	return text != "" && (text[0] == '_' || text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z' || text[0] >= 0x80)
}

// quoteJSON returns text as a JSON string. Like JavaScript, it does not escape <, >,
// and &.
func quoteJSON(text string) string { return micro.Name(text).RouteJSON() }
