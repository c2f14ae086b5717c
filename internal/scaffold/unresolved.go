package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Unresolved returns the places of conflict markers in files that msctl wrote, as
// "FILE:LINE".
func (d *Dir) Unresolved() ([]string, error) {
	written, _, err := readRecord(d.Root)
	if err != nil {
		return nil, err
	}
	var places []string
	for _, name := range slices.Sorted(maps.Keys(written)) {
		if strings.HasPrefix(name, bundleDir+"/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(d.Root, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, line := range markers(text) {
			places = append(places, fmt.Sprintf("%s:%d", name, line))
		}
	}
	return places, nil
}

// markers returns the numbers of the lines with markers of conflicts. A line =======, which
// underlines headings, counts only between the others.
func markers(text []byte) []int {
	var found []int
	inside := false
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		begins, ends := bytes.HasPrefix(line, []byte("<<<<<<< ")), bytes.HasPrefix(line, []byte(">>>>>>> "))
		if begins || ends || inside && bytes.Equal(line, []byte("=======")) {
			found = append(found, number)
		}
		inside = inside && !ends || begins
	}
	return found
}
