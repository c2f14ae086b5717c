//go:build !linux

package microtcp

const countsQueued = false

func queuedBytes(uintptr) (n int64, ok bool) { return 0, false }
