package arch

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

const tableHeader = "| folder | in one line | may import |"

// importTable maps each folder, or folder/* for all packages below it, to what its
// packages may import.
type importTable map[string]allowed

// allowed is the last column of a row.
type allowed struct {
	folders []string // of this repository; folder/* is all packages below it
	modules []string // parts of module paths: "vegeta", "x/sys"
	all     bool     // "–": everything, and no other package may import this one
}

func readTable(file string) (importTable, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseTable(string(text))
}

// parseTable reads the rows that follow tableHeader, to the next line that is not a
// row.
func parseTable(text string) (importTable, error) {
	_, rest, found := strings.Cut(text, tableHeader+"\n")
	if !found {
		return nil, fmt.Errorf("no table with the header %s", tableHeader)
	}
	table := importTable{}
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		if strings.HasPrefix(line, "|-") {
			continue
		}
		if err := table.add(line); err != nil {
			return nil, fmt.Errorf("row %s: %w", line, err)
		}
	}
	if len(table) == 0 {
		return nil, errors.New("the import table has no rows")
	}
	return table, nil
}

func (table importTable) add(line string) error {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	if len(cells) != 3 {
		return errors.New("want three columns")
	}
	right, err := parseAllowed(cells[2])
	if err != nil {
		return err
	}
	for item := range strings.SplitSeq(cells[0], ",") {
		folder, quoted := unquote(item)
		if !quoted {
			return errors.New("want folders in backticks in the first column")
		}
		if _, ok := table[folder]; ok {
			return fmt.Errorf("second row for `%s`", folder)
		}
		table[folder] = right
	}
	return nil
}

func parseAllowed(cell string) (right allowed, err error) {
	std := false
	for item := range strings.SplitSeq(cell, ",") {
		switch name, quoted := unquote(item); {
		case quoted:
			right.folders = append(right.folders, name)
		case name == "std":
			std = true
		case name == "–":
			right.all = true
		case name != "":
			right.modules = append(right.modules, name)
		}
	}
	switch restricted := len(right.folders)+len(right.modules) > 0; {
	case right.all && (restricted || std):
		return right, errors.New("– cannot be combined with other imports")
	case !right.all && !std && !restricted:
		return right, errors.New("want imports, std, or – in the last column")
	}
	return right, nil
}

// unquote removes the backticks around a folder.
func unquote(item string) (name string, quoted bool) {
	item = strings.TrimSpace(item)
	if name, quoted = strings.CutPrefix(item, "`"); quoted {
		name, quoted = strings.CutSuffix(name, "`")
	}
	return name, quoted
}

// check returns what is wrong with the imports of the packages, by folder, and with
// the table itself.
func (table importTable) check(packages map[string][]string) (problems []string) {
	folders := slices.Sorted(maps.Keys(packages))
	used := map[string]bool{}
	for _, folder := range folders {
		row, ok := table.row(folder)
		if !ok {
			problems = append(problems, folder+" has no row in the import table of docs/architecture.md")
			continue
		}
		used[row] = true
		for _, imported := range packages[folder] {
			if !table.allows(row, imported) {
				problems = append(problems, fmt.Sprintf("%s imports %s, which the row `%s` in docs/architecture.md does not allow", folder, folderOf(imported), row))
			}
		}
	}
	for _, row := range slices.Sorted(maps.Keys(table)) {
		if !used[row] {
			problems = append(problems, fmt.Sprintf("no package matches `%s` in docs/architecture.md", row))
		}
	}
	return append(problems, table.checkOrder(folders)...)
}

// row returns the key of the row that applies to a folder: its own, or the most
// specific folder/* above it.
func (table importTable) row(folder string) (key string, ok bool) {
	if _, ok := table[folder]; ok {
		return folder, true
	}
	for dir := folder; ; {
		i := strings.LastIndexByte(dir, '/')
		if i < 0 {
			return "", false
		}
		dir = dir[:i]
		if _, ok := table[dir+"/*"]; ok {
			return dir + "/*", true
		}
	}
}

// allows reports whether a row permits an import.
func (table importTable) allows(row, imported string) bool {
	right := table[row]
	if imported == module || strings.HasPrefix(imported, module+"/") {
		return table.allowsFolder(row, folderOf(imported))
	}
	first, _, _ := strings.Cut(imported, "/")
	if right.all || !strings.Contains(first, ".") { // the standard library has no dot in its first element
		return true
	}
	return slices.ContainsFunc(right.modules, func(name string) bool {
		return strings.Contains("/"+imported+"/", "/"+name+"/")
	})
}

func (table importTable) allowsFolder(row, folder string) bool {
	if table[row].all {
		return true
	}
	if target, ok := table.row(folder); ok && table[target].all {
		return false
	}
	return slices.ContainsFunc(table[row].folders, func(pattern string) bool {
		above, below := strings.CutSuffix(pattern, "*")
		return pattern == folder || below && strings.HasPrefix(folder, above)
	})
}

// checkOrder reports cycles among the imports that the table allows, and any row of
// runtime/ that allows a package outside of it. It ignores rows with "–": no
// package may import theirs.
func (table importTable) checkOrder(folders []string) (problems []string) {
	allowedBy := map[string][]string{}
	for _, from := range folders {
		row, ok := table.row(from)
		if !ok || table[row].all {
			continue
		}
		for _, to := range folders {
			if from == to || !table.allowsFolder(row, to) {
				continue
			}
			if inRuntime(from) && !inRuntime(to) {
				problems = append(problems, fmt.Sprintf("%s may not depend on %s: runtime/ is independent of the rest", from, to))
			}
			allowedBy[from] = append(allowedBy[from], to)
		}
	}
	if cycle := findCycle(folders, allowedBy); cycle != nil {
		problems = append(problems, "the table allows a cycle: "+strings.Join(cycle, " -> "))
	}
	return problems
}

func inRuntime(folder string) bool {
	return folder == "runtime" || strings.HasPrefix(folder, "runtime/")
}

// findCycle returns a path from a node back to itself, or nil.
func findCycle(nodes []string, edges map[string][]string) []string {
	done := map[string]bool{}
	var visit func(node string, path []string) []string
	visit = func(node string, path []string) []string {
		if i := slices.Index(path, node); i >= 0 {
			return append(slices.Clone(path[i:]), node)
		}
		if done[node] {
			return nil
		}
		for _, next := range edges[node] {
			if cycle := visit(next, append(path, node)); cycle != nil {
				return cycle
			}
		}
		done[node] = true
		return nil
	}
	for _, node := range nodes {
		if cycle := visit(node, nil); cycle != nil {
			return cycle
		}
	}
	return nil
}
