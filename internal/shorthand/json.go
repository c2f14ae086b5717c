package shorthand

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// jsonProblem is where and why a text is not JSON.
type Problem struct {
	Offset  int
	Message string
}

// checkJSON reads text as exactly one JSON value (RFC 8259) and says what is
// wrong with it in the words of a person who types it; nil when nothing is.
// The standard library's messages name no cause and differ between versions.
func CheckJSON(text string) *Problem {
	c := &jsonChecker{text: text}
	c.space()
	if c.i == len(text) {
		return &Problem{c.i, "the JSON is empty"}
	}
	if p := c.value(0); p != nil {
		return p
	}
	if c.space(); c.i < len(text) {
		return c.wrong("the JSON value has ended here, but there is more")
	}
	return nil
}

// jsonDepth is how deep arrays and objects may be nested, as in encoding/json.
const jsonDepth = 10000

type jsonChecker struct {
	text string
	i    int
}

func (c *jsonChecker) wrong(message string) *Problem { return &Problem{c.i, message} }

func (c *jsonChecker) space() {
	for c.i < len(c.text) && strings.IndexByte(" \t\r\n", c.text[c.i]) >= 0 {
		c.i++
	}
}

// at reports whether b comes next.
func (c *jsonChecker) at(b byte) bool { return c.i < len(c.text) && c.text[c.i] == b }

func (c *jsonChecker) value(depth int) *Problem {
	if c.i == len(c.text) {
		return c.wrong("a value is missing at the end")
	}
	switch b := c.text[c.i]; {
	case depth >= jsonDepth && (b == '{' || b == '['):
		return c.wrong("nested too deep")
	case b == '{':
		return c.object(depth)
	case b == '[':
		return c.array(depth)
	case b == '"':
		return c.str()
	case b == '-' || b >= '0' && b <= '9':
		return c.number()
	case b == '\'':
		return c.wrong(`JSON strings are in double quotes (")`)
	}
	for _, word := range []string{"true", "false", "null"} {
		if rest := c.text[c.i:]; strings.HasPrefix(rest, word) && !startsWithLetter(rest[len(word):]) {
			c.i += len(word)
			return nil
		}
	}
	if startsWithLetter(c.text[c.i:]) {
		return c.wrong(`a value is expected here; a string needs double quotes (")`)
	}
	return c.wrong("a value is expected here")
}

func startsWithLetter(text string) bool {
	return text != "" && (text[0] == '_' || text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z' || text[0] >= 0x80)
}

func (c *jsonChecker) object(depth int) *Problem {
	opened := c.i
	c.i++
	c.space()
	if c.at('}') {
		c.i++
		return nil
	}
	for {
		if c.space(); !c.at('"') {
			return c.expected(opened, `a key in double quotes (")`)
		}
		if p := c.str(); p != nil {
			return p
		}
		if c.space(); !c.at(':') {
			return c.expected(opened, "a colon (:) after the key")
		}
		c.i++
		c.space()
		if p := c.value(depth + 1); p != nil {
			return p
		}
		c.space()
		if c.at('}') {
			c.i++
			return nil
		}
		if !c.at(',') {
			return c.expected(opened, "a comma (,) or the closing brace (})")
		}
		c.i++
	}
}

func (c *jsonChecker) array(depth int) *Problem {
	opened := c.i
	c.i++
	c.space()
	if c.at(']') {
		c.i++
		return nil
	}
	for {
		c.space()
		if p := c.value(depth + 1); p != nil {
			return p
		}
		c.space()
		if c.at(']') {
			c.i++
			return nil
		}
		if !c.at(',') {
			return c.expected(opened, "a comma (,) or the closing bracket (])")
		}
		c.i++
	}
}

// expected complains that something else comes; at the end of the text it also
// names what is still open.
func (c *jsonChecker) expected(opened int, what string) *Problem {
	if c.i < len(c.text) {
		return c.wrong("expected " + what)
	}
	return c.wrong(fmt.Sprintf("expected %s: the %c of column %d is still open", what, c.text[opened],
		utf8.RuneCountInString(c.text[strings.LastIndexByte(c.text[:opened], '\n')+1:opened])+1))
}

func (c *jsonChecker) str() *Problem {
	opened := c.i
	for c.i++; c.i < len(c.text); c.i++ {
		switch b := c.text[c.i]; {
		case b == '"':
			c.i++
			return nil
		case b < ' ':
			return c.wrong(fmt.Sprintf(`a control character in a string must be written as \u%04x`, b))
		case b == '\\':
			if p := c.escape(); p != nil {
				return p
			}
		}
	}
	return &Problem{opened, "this string is not closed"}
}

func (c *jsonChecker) escape() *Problem {
	rest := c.text[c.i+1:]
	if rest == "" {
		return c.wrong("this backslash escapes nothing")
	}
	if strings.IndexByte(`"\/bfnrt`, rest[0]) >= 0 {
		c.i++
		return nil
	}
	if rest[0] == 'u' && len(rest) >= 5 && strings.Trim(rest[1:5], "0123456789abcdefABCDEF") == "" {
		c.i += 5
		return nil
	}
	return c.wrong(`unknown escape: JSON has \" \\ \/ \b \f \n \r \t \u0000`)
}

func (c *jsonChecker) digits() bool {
	start := c.i
	for c.i < len(c.text) && c.text[c.i] >= '0' && c.text[c.i] <= '9' {
		c.i++
	}
	return c.i > start
}

func (c *jsonChecker) number() *Problem {
	if c.at('-') {
		c.i++
	}
	if c.at('0') {
		c.i++
	} else if !c.digits() {
		return c.wrong("a digit is expected here")
	}
	if c.at('.') {
		c.i++
		if !c.digits() {
			return c.wrong("a digit is expected after the decimal point")
		}
	}
	if c.at('e') || c.at('E') {
		c.i++
		if c.at('+') || c.at('-') {
			c.i++
		}
		if !c.digits() {
			return c.wrong("a digit is expected in the exponent")
		}
	}
	if c.i < len(c.text) && (startsWithLetter(c.text[c.i:]) || c.text[c.i] >= '0' && c.text[c.i] <= '9') {
		return c.wrong("this is not a part of a number")
	}
	return nil
}
