//go:build unix

package rolling

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(replicaEnv); name != "" {
		os.Exit(runReplica(name, os.Getenv(urlEnv)))
	}
	goleak.VerifyTestMain(m)
}
