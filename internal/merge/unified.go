package merge

import (
	"bytes"

	"github.com/rogpeppe/go-internal/diff"
)

// Diff returns the differences between two texts in the format of diff -u. It returns nil if
// they are equal.
func Diff(oldName string, old []byte, newName string, now []byte) []byte {
	_, text, _ := bytes.Cut(diff.Diff(oldName, old, newName, now), []byte("\n")) // the first line repeats the names
	return text
}
