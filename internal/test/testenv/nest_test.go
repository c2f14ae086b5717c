package testenv_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestNestOverTCP calls each NestJS server with the client of its own version. The interoperability tests rely on both.
func TestNestOverTCP(t *testing.T) {
	for _, version := range testenv.LiveVersions() {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			server := testenv.Nest(t, version)
			client := testenv.NestClient(t, version, "--port", strconv.Itoa(server.Port))
			tests := []struct {
				call testenv.Call
				want string
			}{
				{testenv.Call{Pattern: json.RawMessage(`{"cmd":"sum"}`), Data: json.RawMessage(`[1,2]`)}, `[{"next":3} {"complete":true}]`},
				{testenv.Call{Pattern: json.RawMessage(`"echo"`), JS: "new Date(0)"}, `[{"next":"1970-01-01T00:00:00.000Z"} {"complete":true}]`},
				{testenv.Call{Pattern: json.RawMessage(`{"cmd":"stream"}`), Take: 2}, `[{"next":0} {"next":1} {"complete":true}]`},
				{testenv.Call{Pattern: json.RawMessage(`{"cmd":"rpcString"}`)}, `[{"error":{"status":"error","message":"boom string"}}]`},
				{testenv.Call{Pattern: json.RawMessage(`"multi"`), Emit: true}, `[{"emitted":true}]`},
			}
			for _, tt := range tests {
				observed, err := client.Call(tt.call)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, fmt.Sprint(observed)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tt.call.Pattern, diff)
				}
			}
		})
	}
}
