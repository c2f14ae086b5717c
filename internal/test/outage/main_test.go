// Package outage tests all transports with peers that are missing, are something else, move, or
// are killed while they are used.
package outage

import (
	"net"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	net.DefaultResolver = hosts.resolver()
	goleak.VerifyTestMain(m)
}
