package fault

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// String returns the fault as Parse reads it; what is a default is left out.
func (f Fault) String() string {
	b := []byte(f.Kind)
	share := f.Share > 0 && f.Share < 1
	switch {
	case f.Kind.has(takesDelay):
		b = append(append(b, '='), durationText(f.Delay)...)
		if f.Spread > 0 {
			b = append(append(b, "±"...), durationText(f.Spread)...)
		}
	case f.Kind.has(takesRate):
		b = append(append(b, '='), rateText(f.BytesPerSecond)...)
	case share:
		b = append(append(b, '='), percent(f.Share)...)
	}
	if f.Trigger() {
		b = append(append(b, '@'), durationText(f.Start)...)
		if f.Length > 0 {
			b = append(append(b, '+'), durationText(f.Length)...)
		}
	}
	if share && f.Kind.has(takesDelay) {
		b = append(append(b, " share="...), percent(f.Share)...)
	}
	return string(f.appendModifiers(b))
}

func (f Fault) appendModifiers(b []byte) []byte {
	if f.Status != 0 && f.Status != DefaultStatus {
		b = strconv.AppendInt(append(b, " status="...), int64(f.Status), 10)
	}
	if f.Message != "" && f.Message != DefaultMessage {
		b = strconv.AppendQuote(append(b, " message="...), f.Message)
	}
	if f.First > 0 {
		b = strconv.AppendInt(append(b, " first="...), int64(f.First), 10)
	}
	if f.Pattern != "" {
		b = append(append(b, " pattern="...), patternText(f.Pattern)...)
	}
	return b
}

// percent gives a share with exactly its own digits: a product with 100 would
// round, and not always back.
func percent(share float64) string {
	text := strconv.FormatFloat(share, 'f', -1, 64)
	_, digits, fraction := strings.Cut(text, ".")
	if !fraction {
		return text + "00%"
	}
	digits += "0"
	whole, rest := strings.TrimLeft(digits[:2], "0"), strings.TrimRight(digits[2:], "0")
	if whole == "" {
		whole = "0"
	}
	if rest == "" {
		return whole + "%"
	}
	return whole + "." + rest + "%"
}

// durationText is d without the minutes and seconds that are 0: 1h, not 1h0m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func rateText(bytes int64) string {
	for _, unit := range units {
		if bytes%unit.bytes == 0 {
			return strconv.FormatInt(bytes/unit.bytes, 10) + unit.name + "/s"
		}
	}
	return strconv.FormatInt(bytes, 10) + "B/s"
}

// patternText gives a text that Parse reads as a pattern of this route.
func patternText(route string) string {
	if again, _, problem := parseRoute(route); problem == "" && again == route && strings.TrimRight(route, " \t") == route {
		return route
	}
	return micro.Name(route).JSON()
}

// Check returns nil when a proxy can do the fault, and a *RefusedError otherwise;
// raw tells that it is a proxy of bytes (Options.Raw).
func (f Fault) Check(raw bool) error {
	problem := func(message string) error { return &RefusedError{f, message} }
	again, err := Parse(f.String())
	var bad *SyntaxError
	switch {
	case errors.As(err, &bad):
		return problem(bad.Message)
	case again != f.normal():
		return problem("a field is set that " + string(f.Kind) + " does not have")
	case f.ForProcess():
		return problem("a proxy cannot pause a process: use stall, which holds the messages")
	case raw && f.Kind.has(needsMessages):
		return problem("it requires messages, and this proxy sees only bytes: use " + kindsWithout(needsMessages))
	case raw && f.Pattern != "":
		return problem("a pattern requires messages, and this proxy sees only bytes")
	}
	return nil
}

// RefusedError tells why a proxy cannot do a fault.
type RefusedError struct {
	Fault  Fault
	Reason string
}

// Error gives the fault and the reason.
func (e *RefusedError) Error() string { return e.Fault.String() + ": " + e.Reason }

// kindsWithout lists the kinds of a proxy that lack the trait.
func kindsWithout(t trait) string {
	var names []string
	for _, known := range kinds {
		if known.traits&t == 0 && known.kind != Pause {
			names = append(names, string(known.kind))
		}
	}
	return strings.Join(names, ", ")
}
