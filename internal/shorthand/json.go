package shorthand

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
)

// Problem is the reason why a text is malformed, and its offset in bytes.
type Problem struct {
	Offset  int
	Message string
}

// checkJSON returns nil if text is exactly one JSON value (RFC 8259).
func checkJSON(text string) *Problem {
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

// ParseJSON returns text, which must be exactly one JSON value in UTF-8, without the
// space around it. what names the text in the error, which is a usage error.
func ParseJSON(what, text string) (json.RawMessage, error) {
	if !utf8.ValidString(text) {
		return nil, exit.Usagef("%s is not valid UTF-8", what)
	}
	if problem := checkJSON(text); problem != nil {
		return nil, exit.PointAt(what, text, problem.Offset, problem.Message)
	}
	return json.RawMessage(strings.TrimSpace(text)), nil
}

func startsWithLetter(text string) bool {
	return text != "" && (text[0] == '_' || text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z' || text[0] >= 0x80)
}

// quoteJSON returns text as a JSON string. Like JavaScript, it does not escape <, >,
// and &.
func quoteJSON(text string) string { return micro.Name(text).RouteJSON() }
