package socket

import (
	"errors"
	"net"
	"os"
)

// CanPass reports whether listening sockets can be passed to another process. Go does
// not support that on Windows, so services are stopped and started again there.
const CanPass = false

// Descriptor always fails on Windows.
func Descriptor(net.Listener) (*os.File, error) {
	return nil, errors.New("sockets cannot be passed to another process on Windows")
}
