package runscreen

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/msctl/msctl/internal/tui"
)

// The limits of what is kept of the logs.
const (
	maxLines  = 50_000
	maxWeight = 32 << 20 // bytes
	maxLine   = 16 << 10 // bytes of one line
)

// entry is a line of the log of a service, or of msctl if service is "".
type entry struct {
	at      time.Time
	service string
	text    string // its only escape codes are colors
}

// plain returns the text without colors.
func (e *entry) plain() string {
	if strings.Contains(e.text, "\x1b") {
		return ansi.Strip(e.text)
	}
	return e.text
}

func (e *entry) weight() int { return len(e.text) + 100 }

// logs are the latest lines of all services, of which a filter shows some. The zero value is empty,
// and follows the newest line. Lines have numbers, which stay the same when older ones are
// dropped.
type logs struct {
	entries []entry
	first   int // the number of entries[0]
	weight  int
	dropped int // lines

	service, id string // only lines of this service, and with this ID
	shown       []int  // the numbers of the lines that the filter shows, ascending
	find        string // is marked

	stays    bool // it does not follow the newest line
	selected int  // the number of a shown line, if stays
	y        int  // where the selected line is on the screen
	wraps    bool // long lines are wrapped
	left     int  // the column at which long lines begin, if they are not wrapped
}

// add adds a line, and drops the oldest ones beyond the limits.
func (l *logs) add(e entry) {
	if len(e.text) > maxLine {
		text := (&entry{text: e.text[:min(len(e.text), 4*maxLine)]}).plain() // of a line of megabytes, enough
		e.text = strings.ToValidUTF8(text[:min(maxLine, len(text))], "") + " …"
	}
	l.entries = append(l.entries, e)
	l.weight += e.weight()
	if l.shows(&e) {
		l.shown = append(l.shown, l.first+len(l.entries)-1)
	}
	drop := 0
	for len(l.entries)-drop > maxLines || l.weight > maxWeight {
		l.weight -= l.entries[drop].weight()
		l.entries[drop] = entry{}
		drop++
	}
	if drop == 0 {
		return
	}
	l.entries = l.entries[drop:]
	l.first += drop
	l.dropped += drop
	gone, _ := slices.BinarySearch(l.shown, l.first)
	l.shown = l.shown[gone:]
}

// shows reports whether the filter shows a line.
func (l *logs) shows(e *entry) bool {
	return (l.service == "" || e.service == l.service) && (l.id == "" || strings.Contains(e.text, l.id))
}

// filter shows only the lines of a service and with an ID; all of them if both are "".
func (l *logs) filter(service, id string) {
	if service == l.service && id == l.id {
		return
	}
	l.service, l.id = service, id
	l.shown = l.shown[:0:0]
	for i := range l.entries {
		if l.shows(&l.entries[i]) {
			l.shown = append(l.shown, l.first+i)
		}
	}
}

func (l *logs) entry(number int) *entry { return &l.entries[number-l.first] }

// index returns the index of the selected line among those that are shown: itself, the next one
// if it is not shown anymore, or the last one. It is -1 if none is shown.
func (l *logs) index() int {
	last := len(l.shown) - 1
	if !l.stays {
		return last
	}
	i, _ := slices.BinarySearch(l.shown, l.selected)
	return min(i, last)
}

// current returns the selected line, or nil.
func (l *logs) current() *entry {
	i := l.index()
	if i < 0 {
		return nil
	}
	return l.entry(l.shown[i])
}

// move moves the selection by a number of lines, and stops following the newest one.
func (l *logs) move(by int) {
	i := l.index()
	if i < 0 {
		return
	}
	l.selectAt(min(max(i+by, 0), len(l.shown)-1), by)
}

// selectAt selects a line by its index, which is about that many lines from the one before.
func (l *logs) selectAt(i, moved int) {
	l.stays, l.selected = true, l.shown[i]
	l.y += moved
}

// home selects the oldest line.
func (l *logs) home() { l.move(-len(l.shown)) }

// end selects the newest line, and follows it.
func (l *logs) end() { l.stays = false }

// next selects the next line that contains the text to find, or the previous one. It returns
// false if there is none.
func (l *logs) next(forward bool) bool {
	step := -1
	if forward {
		step = 1
	}
	from := l.index()
	if from < 0 || l.find == "" {
		return false
	}
	for i := from + step; i >= 0 && i < len(l.shown); i += step {
		if l.matches(l.shown[i]) {
			l.selectAt(i, i-from)
			return true
		}
	}
	return false
}

// search finds a text, at first in the selected line and those above it, and then below it.
func (l *logs) search(text string) (found bool) {
	l.find = text
	if i := l.index(); i >= 0 && text != "" && l.matches(l.shown[i]) {
		l.selectAt(i, 0)
		return true
	}
	return l.next(false) || l.next(true)
}

func (l *logs) matches(number int) bool {
	return strings.Contains(strings.ToLower(l.entry(number).plain()), strings.ToLower(l.find))
}

// row is one line of the screen.
type row struct {
	entry    *entry
	line     tui.Line
	begins   bool // it is the first of its entry
	selected bool
}

// rows returns an entry as lines of a width.
func (l *logs) rows(number, width int, selected bool) (all []row) {
	e := l.entry(number)
	line := tui.Colored(e.text)
	lines := []tui.Line{line}
	if l.wraps {
		lines = tui.Wrap(lines, max(width, 1))
	} else {
		lines[0] = line.From(l.left)
	}
	for i, line := range lines {
		all = append(all, row{e, line, i == 0, selected})
	}
	return all
}

// window returns what is visible of the lines in an area, with the selected one among them. It moves
// as little as possible.
func (l *logs) window(width, height int) []row {
	at := l.index()
	if at < 0 || height <= 0 {
		return nil
	}
	if l.stays {
		l.selected = l.shown[at]
	}
	current := l.rows(l.shown[at], width, l.stays)
	if !l.stays {
		l.y = height - len(current)
	}
	l.y = min(max(l.y, min(height-len(current), 0)), max(height-len(current), 0))
	var above, below []row
	up, down := at-1, at+1
	higher := func(room int) {
		for ; up >= 0 && len(above) < room; up-- {
			above = append(l.rows(l.shown[up], width, false), above...)
		}
	}
	higher(l.y)
	l.y = min(l.y, len(above))
	for ; down < len(l.shown) && l.y+len(current)+len(below) < height; down++ {
		below = append(below, l.rows(l.shown[down], width, false)...)
	}
	if room := height - len(current) - len(below); room > l.y { // at the end: show more above
		higher(room)
		l.y = min(room, len(above))
	}
	all := slices.Concat(above, current, below)
	from := len(above) - l.y
	return all[from:min(from+height, len(all))]
}

// idInText matches an ID that a line names, as programs write it: correlation_id=…, "traceId":"…".
var idInText = regexp.MustCompile(`(?i)(?:correlation|request|trace)[-_. ]?id["']?\s*[=:]\s*["']?([0-9a-z][0-9a-z_.-]{3,})`)

// idOf returns the ID that a line of a log has, or "".
func idOf(text string) string {
	if found := idInText.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}
