package proc

import (
	"errors"
	"net"
	"os"
)

// canHandOver: Go cannot give listening sockets to a child on Windows, so
// services are stopped and started there.
const canHandOver = false

func descriptor(net.Listener) (*os.File, error) {
	return nil, errors.New("sockets cannot be handed to another process on Windows")
}
