package validate

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// violated returns the messages of the rules of a string, number, or boolean that v violates.
// It appends them to all. Each rule has its place, which is empty if the rule holds. Their order is that of
// class-validator for decorators in the usual order, the type first: it reports the last one
// first.
func (r *rule) violated(all []string, v any) []string {
	switch r.kind {
	case kindString:
		return r.violatedByText(all, v)
	case kindBool:
		_, ok := v.(bool)
		return append(all, unless(ok, constant(" must be a boolean value")))
	case kindInt, kindNumber:
		return r.violatedByNumber(all, v)
	}
	return all
}

// unless returns the message if the rule does not hold; it is not composed for valid data.
func unless(ok bool, message func() string) string {
	if ok {
		return ""
	}
	return message()
}

func constant(message string) func() string { return func() string { return message } }

func (r *rule) violatedByText(all []string, v any) []string {
	text, ok := v.(string)
	length := utf8.RuneCountInString(text)
	if r.pattern != nil {
		all = append(all, unless(ok && r.pattern.MatchString(text), func() string { return " must match /" + r.pattern.String() + "/ regular expression" }))
	}
	if r.maxLength != nil {
		all = append(all, unless(ok && length <= *r.maxLength, func() string { return fmt.Sprintf(" must be shorter than or equal to %d characters", *r.maxLength) }))
	}
	switch {
	case r.minLength == nil:
	case *r.minLength == 1: // IsNotEmpty, which accepts a number
		all = append(all, unless(ok && length > 0 || !ok && v != nil, constant(" should not be empty")))
	default:
		all = append(all, unless(ok && length >= *r.minLength, func() string { return fmt.Sprintf(" must be longer than or equal to %d characters", *r.minLength) }))
	}
	if r.format != "" {
		all = append(all, unless(ok && hasFormat(r.format, text), constant(formatMessage(r.format))))
	}
	if len(r.enum) > 0 {
		all = append(all, unless(ok && slices.Contains(r.enum, text), r.enumMessage))
	}
	if r.format == "date-time" || r.format == "date" {
		return all // IsDateString rejects other types, too
	}
	return append(all, unless(ok, constant(" must be a string")))
}

func (r *rule) violatedByNumber(all []string, v any) []string {
	n, ok := v.(json.Number)
	value, err := n.Float64()
	if err != nil {
		ok = false
	}
	typed := ok && (r.kind != kindInt || integer(n.String(), r))
	switch {
	case r.multipleOf == nil:
	case *r.multipleOf == math.Trunc(*r.multipleOf): // IsDivisibleBy
		all = append(all, unless(ok && multiple(value, *r.multipleOf), func() string { return " must be divisible by " + format(*r.multipleOf) }))
	default: // the maxDecimalPlaces of IsNumber
		typed = typed && multiple(value, *r.multipleOf)
	}
	if r.maximum != nil {
		// The bounds of a Go type are no decorators: they are reported for numbers only.
		all = append(all, unless(ok && value <= *r.maximum || !ok && !r.maximumGiven, func() string { return " must not be greater than " + format(*r.maximum) }))
	}
	if r.minimum != nil {
		all = append(all, unless(ok && value >= *r.minimum || !ok && !r.minimumGiven, func() string { return " must not be less than " + format(*r.minimum) }))
	}
	if len(r.enum) > 0 {
		all = append(all, unless(ok && slices.Contains(r.enum, n.String()), r.enumMessage))
	}
	message := " must be a number conforming to the specified constraints"
	if r.kind == kindInt {
		message = " must be an integer number"
	}
	return append(all, unless(typed, constant(message)))
}

var (
	uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*\.?$`)
)

func hasFormat(format, text string) bool {
	switch format {
	case "email":
		address, err := mail.ParseAddress(text)
		return err == nil && address.Address == text
	case "uuid":
		return uuidPattern.MatchString(text)
	case "uri", "url":
		u, err := url.Parse(text)
		return err == nil && u.Scheme != "" && u.Host != ""
	case "date-time":
		_, err := time.Parse(time.RFC3339Nano, text)
		return err == nil
	case "date":
		_, err := time.Parse(time.DateOnly, text)
		return err == nil
	case "ipv4":
		ip, err := netip.ParseAddr(text)
		return err == nil && ip.Is4()
	case "ipv6":
		ip, err := netip.ParseAddr(text)
		return err == nil && ip.Is6()
	case "hostname":
		return len(text) <= 253 && hostPattern.MatchString(text)
	case "byte":
		_, err := base64.StdEncoding.DecodeString(text)
		return err == nil
	}
	return true
}

func formatMessage(format string) string {
	switch format {
	case "email":
		return " must be an email"
	case "uuid":
		return " must be a UUID"
	case "uri", "url":
		return " must be a URL address"
	case "date-time", "date":
		return " must be a valid ISO 8601 date string"
	case "ipv4", "ipv6":
		return " must be an ip address"
	case "hostname":
		return " must be a fully qualified domain name"
	case "byte":
		return " must be base64 encoded"
	}
	return " must be valid"
}

func (r *rule) enumMessage() string {
	return " must be one of the following values: " + strings.Join(r.enum, ", ")
}

// multiple reports whether value is a multiple of unit, apart from the errors of binary
// fractions: 0.30000000000000004 is a multiple of 0.01.
func multiple(value, unit float64) bool {
	quotient := value / unit
	return math.Abs(quotient-math.Round(quotient)) <= 1e-9+1e-12*math.Abs(quotient)
}

// integer reports whether a Go integer can be read from the text.
func integer(text string, r *rule) bool {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return true
	}
	_, err := strconv.ParseUint(text, 10, 64)
	return err == nil && r.minimum != nil && *r.minimum >= 0
}

func format(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// FromText returns the tree of a value that is text in a URL: a number or boolean if the
// member is one and the text can be parsed, and the text otherwise, which Check then
// reports. A list accepts several texts, or one with commas. Several texts for another member
// are a list, which Check reports, too: two programs would choose different ones.
func (f Field) FromText(texts []string) any {
	of := f.rule.kind
	switch {
	case of == kindArray:
		of = f.rule.items.kind
		if len(texts) == 1 {
			texts = strings.Split(texts[0], ",")
		}
	case len(texts) == 1:
		return fromText(of, texts[0])
	}
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = fromText(of, text)
	}
	return list
}

func fromText(k kind, text string) any {
	switch k {
	case kindInt, kindNumber:
		if n := json.Number(text); validNumber(text) {
			return n
		}
	case kindBool:
		switch text {
		case "true", "1":
			return true
		case "false", "0":
			return false
		}
	}
	return text
}

func validNumber(text string) bool {
	return text != "" && (text[0] == '-' || text[0]-'0' <= 9) && json.Valid([]byte(text))
}
