package agents

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv("MSCTL_TEST_AGENT") != "":
		agentProcess()
		return
	case os.Getenv(localAgentEnv) != "":
		localAgentProcess()
		return
	case os.Getenv(coordinatorEnv) != "":
		coordinatorProcess()
		return
	case os.Getenv(machineEnv) != "":
		machineProcess()
		return
	case os.Getenv(serverEnv) != "":
		serverProcess()
		return
	}
	goleak.VerifyTestMain(m)
}
