package micro

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// LostEventsError reports events for which Emit returned nil and which may have been lost: a
// connection ended before its peer had acknowledged them. [Client.Close] returns it. It
// matches ErrConnectionLost.
type LostEventsError struct {
	// Events is the number of events of each pattern, by [Pattern.Route].
	Events map[string]int
}

// maxNamed limits the patterns that the text names.
const maxNamed = 5

// Error names the patterns with the most events first.
func (e *LostEventsError) Error() string {
	patterns := slices.SortedFunc(maps.Keys(e.Events), func(a, b string) int {
		return cmp.Or(cmp.Compare(e.Events[b], e.Events[a]), cmp.Compare(a, b))
	})
	total := 0
	for _, n := range e.Events {
		total += n
	}
	var text strings.Builder
	if total == 1 {
		text.WriteString("1 event may have been lost: ")
	} else {
		fmt.Fprintf(&text, "%d events may have been lost: ", total)
	}
	for i, p := range patterns[:min(len(patterns), maxNamed)] {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%d of %s", e.Events[p], p)
	}
	if more := len(patterns) - maxNamed; more > 0 {
		fmt.Fprintf(&text, ", and those of %d more patterns", more)
	}
	return text.String()
}

// Is reports whether target is ErrConnectionLost.
func (e *LostEventsError) Is(target error) bool { return target == ErrConnectionLost }
