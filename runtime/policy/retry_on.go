package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// class is a named class of errors.
type class struct {
	name  string
	match func(error) bool
}

const (
	transientClass = "transient"
	anyClass       = "any"
	neverClass     = "never"
)

// classNamed returns the class with a name.
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

// statusClass parses 503 and 5xx.
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

// statusFrom matches the peer's errors with a status in a range. An error without a status
// has status 0.
func statusFrom(low, high int) func(error) bool {
	return func(err error) bool {
		var remote *micro.Error
		return errors.As(err, &remote) && remote.Remote() && low <= remote.Status && remote.Status <= high
	}
}

// local matches errors of this side, not those in a reply.
func local(kind error) func(error) bool {
	return func(err error) bool {
		var answer *micro.Error
		return errors.Is(err, kind) && !errors.As(err, &answer)
	}
}

// classes matches the errors that any of them matches. The empty list means transient.
type classes []class

// parseClasses parses a comma-separated list. Each class is kept once; transient
// alone becomes the empty list, so that equal policies have equal settings.
func parseClasses(text string) (classes, error) {
	if text == "" {
		return nil, nil
	}
	var list classes
	for part := range strings.SplitSeq(text, ",") {
		name := strings.TrimSpace(part)
		c, ok := classNamed(name)
		if !ok {
			return nil, fmt.Errorf("unknown error class %q", name)
		}
		if !slices.ContainsFunc(list, func(d class) bool { return d.name == name }) {
			list = append(list, c)
		}
	}
	if len(list) > 1 && slices.ContainsFunc(list, func(c class) bool { return c.name == neverClass }) {
		return nil, errors.New("the error class never cannot be combined with others")
	}
	if len(list) == 1 && list[0].name == transientClass {
		return nil, nil
	}
	return list, nil
}

func (l classes) match(err error) bool {
	err = ended(err)
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

// String returns the list in the form that parseClasses accepts.
func (l classes) String() string { return strings.Join(l.names(), ",") }
