//go:build !linux

package testenv

import "testing"

// AwaitStopped does nothing on this system, which does not show the states of threads.
func AwaitStopped(testing.TB, int) {}

func awaitGroupStopped(int) error { return nil }
