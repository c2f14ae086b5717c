package microrabbit

import (
	"os"
	"strings"
	"testing"
)

// TestDriverVersion pins the driver. This package reads and writes message frames
// on the driver's connection, past its API (wire.go), so a new version of the driver
// needs a review of its framing and its locking, and a run of all tests here, before
// this line changes.
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
