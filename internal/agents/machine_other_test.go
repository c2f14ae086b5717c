//go:build !linux

package agents

// machineEnv is for Linux.
const machineEnv = "MSCTL_TEST_MACHINE"

func machineProcess() {}
