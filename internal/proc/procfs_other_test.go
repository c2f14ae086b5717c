//go:build !linux

package proc

import "testing"

// members needs /proc.
func members(t *testing.T, _ int) []string {
	t.Helper()
	t.Skip("the members of a process group are listed in /proc only")
	return nil
}

// loopbackOnly needs /proc, and checks nothing.
func loopbackOnly(*testing.T, *session) {}
