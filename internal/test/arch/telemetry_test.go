package arch

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// TestTelemetryIsOptional checks that a program depends on Prometheus and OpenTelemetry only if it imports runtime/telemetry, and
// that a service over TCP has no dependency at all.
func TestTelemetryIsOptional(t *testing.T) {
	deps := func(packages ...string) []string {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}"}, packages...)...)
		cmd.Dir = testenv.Root()
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	const runtime = module + "/runtime/"
	for _, p := range deps(runtime+"microtcp", runtime+"policy", runtime+"validate", runtime+"principal", runtime+"probe", runtime+"microtest") {
		if !strings.HasPrefix(p, runtime) {
			t.Errorf("a service over TCP depends on %s", p)
		}
	}
	telemetry := func(p string) bool {
		return strings.HasPrefix(p, runtime+"telemetry") || strings.Contains(p, "prometheus") || strings.Contains(p, "opentelemetry.io")
	}
	for _, p := range deps(runtime+"gateway", runtime+"gateway/auth", runtime+"micronats", runtime+"microredis", runtime+"microrabbit", runtime+"microtcp") {
		if telemetry(p) {
			t.Errorf("a gateway or a service depends on %s", p)
		}
	}
	found := 0
	for _, p := range deps(runtime + "telemetry") {
		if telemetry(p) {
			found++
		}
	}
	if found == 0 {
		t.Error("runtime/telemetry depends on neither, so this test proves nothing")
	}
}
