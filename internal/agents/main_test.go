package agents

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("MSCTL_TEST_AGENT") != "" {
		agentProcess()
		return
	}
	goleak.VerifyTestMain(m)
}
