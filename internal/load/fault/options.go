package fault

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/runtime/micro"
)

// options are the options that may follow a fault, and the kinds that have them.
var options = []struct {
	name  string
	of    trait
	parse func(*parser) error
}{
	{"share", takesDelay, (*parser).share},
	{"status", takesError, (*parser).status},
	{"message", takesError, (*parser).message},
	{"first", takesFirst, (*parser).first},
	{"pattern", takesPattern, (*parser).pattern},
}

// option parses one NAME=VALUE.
func (p *parser) option() error {
	start := p.at
	name := p.until("= \t")
	for _, m := range options {
		if m.name != name {
			continue
		}
		switch {
		case !p.f.Kind.has(m.of) && name == "share" && p.f.Kind.has(takesShare):
			return wrong(start, "the share must follow the kind: %s=20%%", p.f.Kind)
		case !p.f.Kind.has(m.of):
			return wrong(start, "%s cannot be combined with %s, only with %s", name, p.f.Kind, kindsWith(m.of))
		case p.seen[name]:
			return wrong(start, "duplicate %s", name)
		case !p.next('='):
			return wrong(p.at, "%s requires a value: %s=…", name, name)
		}
		p.seen[name] = true
		return m.parse(p)
	}
	return unknownOption(name, start)
}

func unknownOption(name string, start int) error {
	var names []string
	for _, m := range options {
		names = append(names, m.name)
	}
	if near := nearest.Word(name, names); near != "" {
		return wrong(start, "unknown option %q: did you mean %s=…?", name, near)
	}
	return wrong(start, "unknown option %q: the options are %s=…", name, strings.Join(names, "=…, "))
}

func kindsWith(t trait) string {
	var names []string
	for _, known := range kinds {
		if known.traits&t != 0 {
			names = append(names, string(known.kind))
		}
	}
	return strings.Join(names, ", ")
}

func (p *parser) share() (err error) {
	start := p.at
	p.f.Share, err = parseShare(p.until(" \t"), start)
	return err
}

func (p *parser) status() error {
	start := p.at
	text := p.until(" \t")
	n, err := strconv.Atoi(text)
	if err != nil || n < 100 || n > 599 || len(text) != 3 {
		return wrong(start, "a status must be a number between 100 and 599, such as 429, not %q", text)
	}
	p.f.Status = n
	return nil
}

func (p *parser) message() error {
	start := p.at
	if !strings.HasPrefix(p.text[start:], `"`) {
		p.f.Message = p.until(" \t")
		if p.f.Message == "" || strings.Contains(p.f.Message, `"`) {
			return wrong(start, `a message must be one word or in double quotes: message="too busy"`)
		}
		return nil
	}
	quoted, err := strconv.QuotedPrefix(p.text[start:])
	if err != nil {
		return wrong(start, `the message has no closing quote (") or an invalid escape sequence`)
	}
	text, _ := strconv.Unquote(quoted) // always valid
	p.at += len(quoted)
	switch {
	case text == "":
		return wrong(start, "the message is empty: remove message=… for the default, %q", DefaultMessage)
	case !utf8.ValidString(text):
		return wrong(start, "the message is not valid UTF-8")
	case p.at < len(p.text) && p.text[p.at] != ' ' && p.text[p.at] != '\t':
		return wrong(p.at, "a space must follow the message")
	}
	p.f.Message = text
	return nil
}

func (p *parser) first() error {
	start := p.at
	text := p.until(" \t")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1_000_000_000 || !isDecimal(text) {
		return wrong(start, "first must be a number of messages between 1 and 1000000000, not %q", text)
	}
	p.f.First = n
	return nil
}

// pattern parses the rest of the text.
func (p *parser) pattern() error {
	start := p.at
	text := strings.TrimRight(p.text[start:], " \t")
	p.at = len(p.text)
	route, offset, problem := parseRoute(text)
	if problem != "" {
		return wrong(start+offset, "%s", problem)
	}
	p.f.Pattern = route
	return nil
}

// parseRoute parses a pattern and returns its route, or a problem and its offset.
func parseRoute(text string) (route string, offset int, problem string) {
	switch {
	case text == "":
		return "", 0, `the pattern is empty: use cmd=createItem, {"cmd":"createItem"}, or item.v1.viewed`
	case strings.ContainsRune(`{["`, rune(text[0])):
		p, err := micro.ParsePattern(text)
		if bad := (*micro.PatternError)(nil); errors.As(err, &bad) {
			return "", bad.Offset, "the pattern is not JSON: " + bad.Reason
		}
		route = p.Route()
	default:
		if at := strings.IndexAny(text, " \t\n\"{}"); at >= 0 {
			return "", at, `a pattern that is not JSON cannot contain spaces, quotes, or braces, and must be last: write {"cmd":"x"} or "a b"`
		}
		route = text
		if key, value, ok := strings.Cut(text, "="); ok && key != "" && value != "" {
			route = micro.Fields(map[string]any{key: value}).Route()
		}
	}
	if !utf8.ValidString(route) || route == "" {
		return "", 0, "no message can match this pattern: it is empty or contains half of a surrogate pair"
	}
	return route, 0, ""
}
