//go:build !linux && !darwin

package child

// Suspended returns false: it is not known on this system.
func Suspended(int) bool { return false }
