//go:build !linux && !darwin

package socket

import (
	"context"
	"net/netip"
)

// ownersOf returns nothing: this system is not asked which process owns a port.
func ownersOf(context.Context, netip.AddrPort) []Owner { return nil }

// ListeningAt returns nothing.
func ListeningAt(func(pid int) bool) []netip.AddrPort { return nil }
