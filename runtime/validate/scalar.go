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

// text checks a string.
func (c *checker) text(r *rule, s subject, text string) {
	if len(r.enum) > 0 && !slices.Contains(r.enum, text) {
		c.fail(s.label + " must be one of the following values: " + strings.Join(r.enum, ", "))
	}
	length := utf8.RuneCountInString(text)
	if r.minLength != nil && length < *r.minLength {
		if *r.minLength == 1 {
			c.fail(s.label + " should not be empty")
		} else {
			c.fail(fmt.Sprintf("%s must be longer than or equal to %d characters", s.label, *r.minLength))
		}
	}
	if r.maxLength != nil && length > *r.maxLength {
		c.fail(fmt.Sprintf("%s must be shorter than or equal to %d characters", s.label, *r.maxLength))
	}
	if r.pattern != nil && !r.pattern.MatchString(text) {
		c.fail(s.label + " must match /" + r.pattern.String() + "/ regular expression")
	}
	if !hasFormat(r.format, text) {
		c.fail(s.label + formatMessage(r.format))
	}
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

// number checks a number.
func (c *checker) number(r *rule, s subject, v any) {
	n, ok := v.(json.Number)
	if r.kind == kindInt {
		if !ok || !integer(n.String(), r) {
			c.fail(s.label + " must be an integer number")
			return
		}
	}
	value, err := n.Float64()
	if !ok || err != nil {
		c.fail(s.label + " must be a number conforming to the specified constraints")
		return
	}
	if len(r.enum) > 0 && !slices.Contains(r.enum, n.String()) {
		c.fail(s.label + " must be one of the following values: " + strings.Join(r.enum, ", "))
	}
	if r.minimum != nil && value < *r.minimum {
		c.fail(s.label + " must not be less than " + format(*r.minimum))
	}
	if r.maximum != nil && value > *r.maximum {
		c.fail(s.label + " must not be greater than " + format(*r.maximum))
	}
	if r.multipleOf != nil && !multiple(value, *r.multipleOf) {
		c.fail(s.label + divisibleMessage(*r.multipleOf))
	}
}

// multiple reports whether value is a multiple of unit, apart from the errors of binary
// fractions: 0.30000000000000004 is a multiple of 0.01.
func multiple(value, unit float64) bool {
	quotient := value / unit
	return math.Abs(quotient-math.Round(quotient)) <= 1e-9+1e-12*math.Abs(quotient)
}

// divisibleMessage returns the problem of a number that is not a multiple: class-validator's
// for IsDivisibleBy, or for the maxDecimalPlaces of IsNumber.
func divisibleMessage(unit float64) string {
	if unit == math.Trunc(unit) {
		return " must be divisible by " + format(unit)
	}
	return " must be a number conforming to the specified constraints"
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
// reports. A list accepts several texts, or one with commas.
func (f Field) FromText(texts []string) any {
	if f.rule.kind != kindArray {
		return fromText(f.rule.kind, texts[len(texts)-1])
	}
	if len(texts) == 1 {
		texts = strings.Split(texts[0], ",")
	}
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = fromText(f.rule.items.kind, text)
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
