package policy

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// class is a kind of errors that has a name.
type class struct {
	name  string
	match func(error) bool
}

const (
	transientClass = "transient"
	anyClass       = "any"
	neverClass     = "never"
)

// classNamed knows the classes.
func classNamed(name string) (c class, ok bool) {
	switch name {
	case "timeout":
		return class{name, local(micro.ErrTimeout)}, true
	case "unreachable":
		return class{name, local(micro.ErrUnreachable)}, true
	case "reset":
		return class{name, local(micro.ErrConnectionLost)}, true
	case "error":
		return class{name, statusFrom(0, 599)}, true
	case transientClass:
		return class{name, Transient}, true
	case anyClass:
		return class{name, AnyError}, true
	case neverClass:
		return class{name, Never}, true
	}
	return statusClass(name)
}

// statusClass knows 503 and 5xx.
func statusClass(name string) (c class, ok bool) {
	hundreds, isRange := strings.CutSuffix(name, "xx")
	n, err := strconv.ParseUint(hundreds, 10, 16)
	low, high := int(n), int(n)
	if isRange {
		low, high = int(n)*100, int(n)*100+99
	}
	if err != nil || len(name) != 3 || low < 100 || high > 599 {
		return class{}, false
	}
	return class{name, statusFrom(low, high)}, true
}

// statusFrom matches the peer's errors with a status in a range; 0 is an error
// that names none.
func statusFrom(low, high int) func(error) bool {
	return func(err error) bool {
		var remote *micro.Error
		return errors.As(err, &remote) && remote.Remote() && low <= remote.Status && remote.Status <= high
	}
}

// local matches what this side has found, and no answer of the peer.
func local(kind error) func(error) bool {
	return func(err error) bool {
		var answer *micro.Error
		return errors.Is(err, kind) && !errors.As(err, &answer)
	}
}

// classes are the errors that any one of them matches. None at all is transient
// alone.
type classes []class

const classUsage = "the classes are timeout, unreachable, reset, error, a status (503), a range (5xx), transient, any, and never"

// parseClasses reads a list with commas. Each class is kept once; transient
// alone is none at all, so that equal policies have equal settings.
func parseClasses(text string) (classes, error) {
	s := source{"retry-on", text}
	if text == "" {
		return nil, nil
	}
	var list classes
	offset := 0
	for part := range strings.SplitSeq(text, ",") {
		name := strings.TrimSpace(part)
		c, ok := classNamed(name)
		if !ok {
			return nil, s.wrong(offset+strings.Index(part, name), "%q is not a class of errors: %s", name, classUsage)
		}
		if !slices.ContainsFunc(list, func(d class) bool { return d.name == name }) {
			list = append(list, c)
		}
		offset += len(part) + 1
	}
	if never := slices.IndexFunc(list, func(c class) bool { return c.name == neverClass }); never >= 0 && len(list) > 1 {
		return nil, s.wrong(strings.Index(text, neverClass), "never cannot be with others")
	}
	if len(list) == 1 && list[0].name == transientClass {
		return nil, nil
	}
	return list, nil
}

func (l classes) match(err error) bool {
	if len(l) == 0 {
		return Transient(err)
	}
	return slices.ContainsFunc(l, func(c class) bool { return c.match(err) })
}

func (l classes) names() []string {
	var names []string
	for _, c := range l {
		names = append(names, c.name)
	}
	return names
}

// String is the list that parseClasses reads.
func (l classes) String() string { return strings.Join(l.names(), ",") }

// RetryOn returns a function that reports whether an error is of one of the
// classes, for WithRetryIf or for a program's own use:
//
//	timeout      no answer in time
//	unreachable  no connection
//	reset        the connection was lost
//	error        any error that the service answered with
//	503, 5xx     an error that it answered with, of this status or of these
//	transient    see Transient
//	any          see AnyError
//	never        no error; it stands alone
//
// Without a class it is transient. It panics where there is no such class:
// ParseRetryOn is for text that others wrote. A policy that shall be able to say
// what it retries has WithRetryOn.
func RetryOn(classes ...string) func(error) bool {
	list, err := parseClasses(strings.Join(classes, ","))
	if err != nil {
		panic(err)
	}
	return list.match
}

// ParseRetryOn is RetryOn for a list with commas, "timeout,5xx". The error is a
// *SyntaxError.
func ParseRetryOn(text string) (func(error) bool, error) {
	list, err := parseClasses(text)
	if err != nil {
		return nil, err
	}
	return list.match, nil
}
