package fault

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// String returns the fault in the form that Parse parses, without defaults.
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
	return string(f.appendOptions(b))
}

func (f Fault) appendOptions(b []byte) []byte {
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

// percent formats a share with all its digits. It moves the decimal point in the
// text, because multiplying by 100 could round.
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

// durationText formats d without minutes and seconds of 0: 1h, not 1h0m0s.
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

// patternText returns a text that Parse parses as a pattern with this route.
func patternText(route string) string {
	if again, _, problem := parseRoute(route); problem == "" && again == route && strings.TrimRight(route, " \t") == route {
		return route
	}
	return micro.Name(route).JSON()
}

// Check returns nil if a proxy can inject the fault, and a *RefusedError otherwise.
// raw means a proxy of bytes (Options.Raw).
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

// RefusedError reports why a proxy cannot inject a fault.
type RefusedError struct {
	Fault  Fault
	Reason string
}

// Error returns the fault and the reason.
func (e *RefusedError) Error() string { return e.Fault.String() + ": " + e.Reason }

// kindsWithout lists the kinds that a proxy can inject and that lack the trait.
func kindsWithout(t trait) string {
	var names []string
	for _, known := range kinds {
		if known.traits&t == 0 && known.kind != Pause {
			names = append(names, string(known.kind))
		}
	}
	return strings.Join(names, ", ")
}
