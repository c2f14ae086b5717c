package doctor

// Codes lists the codes of all findings. They are part of the output for programs, and are not renamed.
func Codes() []string {
	return []string{
		"broker-unreachable", "clock-skew", "declared-differently", "frame-length", "loopback-listener", "metadata-ignored", "mixed-handlers",
		"no-caller", "no-handler", "no-queue-group", "no-reply", "not-running", "port-in-use", "redis-replicas", "rejected", "retries-multiply",
		"timeout-order", "unacknowledged", "unknown-host", "wrong-protocol", "wrong-service",
	}
}
