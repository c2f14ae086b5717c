//go:build !linux

package proc

// portOwner would say who listens on the TCP port; only Linux tells us.
func portOwner(int) string { return "" }
