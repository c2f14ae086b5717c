package microrabbit

import (
	"os"
	"strings"
	"testing"
)

// TestDriverVersion pins the version of the driver. This package reads and writes message
// frames on the driver's connection, bypassing its API (wire.go). Before this version
// changes, review the framing and locking of the new driver, and run all tests of this
// package.
func TestDriverVersion(t *testing.T) {
	const pinned = "github.com/rabbitmq/amqp091-go v1.16.0"
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "\t"+pinned+"\n") {
		t.Errorf("go.mod does not require %s: review runtime/microrabbit/wire.go against the new driver first", pinned)
	}
}
