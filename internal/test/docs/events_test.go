package docs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// section is the heading of the events in docs/transports.md.
const section = "## What happens when …"

// columns are the packages of the transports, in the order of the table's columns.
var columns = []string{"microtcp", "microrabbit", "microredis", "micronats"}

var header = []string{"event", "", "TCP", "RabbitMQ", "Redis", "NATS"}

// event is something that happens, with what it does to a client and to a server of each
// transport.
type event struct {
	name                  string
	client, server, tests []string // by column
	nest                  []string // nil if NestJS does not differ
}

// parseEvents reads the tables of the section. A table has several rows for each event, of
// which only the first contains its name.
func parseEvents(text string) ([]event, error) {
	_, rest, found := strings.Cut(text, section+"\n")
	if !found {
		return nil, fmt.Errorf("no section %q", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var events []event
	inTable := false
	for line := range strings.Lines(rest) {
		cells, isRow := cellsOf(line)
		switch {
		case !isRow:
			inTable = false
		case slices.Equal(cells, header):
			inTable = true
		case !inTable:
			return nil, fmt.Errorf("row outside of a table of events: %s", strings.TrimSpace(line))
		case strings.Trim(strings.Join(cells, ""), "-:") == "":
		default:
			if cells[0] != "" {
				events = append(events, event{name: cells[0]})
			}
			if len(events) == 0 {
				return nil, errors.New("the first row has no event")
			}
			if err := events[len(events)-1].add(cells); err != nil {
				return nil, fmt.Errorf("%s: %w", events[len(events)-1].name, err)
			}
		}
	}
	return events, nil
}

// cellsOf returns the cells of a table's row.
func cellsOf(line string) (cells []string, ok bool) {
	line, ok = strings.CutPrefix(strings.TrimSpace(line), "|")
	if !ok {
		return nil, false
	}
	for cell := range strings.SplitSeq(strings.TrimSuffix(line, "|"), "|") {
		cells = append(cells, strings.TrimSpace(cell))
	}
	return cells, true
}

// add adds a row to the event.
func (e *event) add(cells []string) error {
	if len(cells) != len(header) {
		return fmt.Errorf("a row with %d cells, want %d", len(cells), len(header))
	}
	row := map[string]*[]string{"client": &e.client, "server": &e.server, "NestJS": &e.nest, "tests": &e.tests}[cells[1]]
	switch {
	case row == nil:
		return fmt.Errorf("a row for %q", cells[1])
	case *row != nil:
		return fmt.Errorf("a second row for %q", cells[1])
	case slices.Contains(cells[2:], ""):
		return fmt.Errorf("an empty cell in the row for %q", cells[1])
	}
	*row = cells[2:]
	return nil
}

// none is the content of a cell that does not apply.
const none = "–"

// problems returns what the event lacks.
func (e *event) problems(known tests) (problems []string) {
	if e.client == nil || e.server == nil || e.tests == nil {
		return []string{e.name + ": requires rows for client, server, and tests"}
	}
	for i, folder := range columns {
		names := names(e.tests[i])
		if len(names) == 0 && (e.client[i] != none || e.server[i] != none) {
			problems = append(problems, fmt.Sprintf("%s: no test for %s", e.name, header[2+i]))
		}
		for _, name := range names {
			if !known.has(folder, name) {
				problems = append(problems, fmt.Sprintf("%s: there is no test %s for %s", e.name, name, header[2+i]))
			}
		}
	}
	return problems
}

// names returns what is in backticks.
func names(cell string) (names []string) {
	for i, part := range strings.Split(cell, "`") {
		if i%2 == 1 {
			names = append(names, part)
		}
	}
	return names
}
