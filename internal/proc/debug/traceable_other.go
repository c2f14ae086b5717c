//go:build !linux

package debug

import "errors"

// TraceableName is the hidden command that calls [ExecTraceable].
const TraceableName = "__traceable"

// NeedsTraceable returns false.
func NeedsTraceable() bool { return false }

// Runs returns true.
func Runs(int, string) bool { return true }

// ExecTraceable is required on Linux only.
func ExecTraceable([]string) error { return errors.ErrUnsupported }
