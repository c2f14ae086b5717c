package observe

import (
	"encoding/json"
	"net"
	"os"
	"testing"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// TestNestJS observes messages between NestJS programs. Only with MSCTL_TEST_ALL, it covers all versions
// and brokers.
func TestNestJS(t *testing.T) {
	versions, all := []testenv.Version{testenv.Nest10, testenv.Nest11, testenv.Nest12}, os.Getenv("MSCTL_TEST_ALL") != ""
	if !all {
		versions = versions[:1]
	}
	for _, version := range versions {
		t.Run(string(version)+" NATS", func(t *testing.T) {
			broker := testenv.NATS(t)
			nestJS(t, version, broker.URL, "--transport", "nats", "--url", broker.URL)
		})
		if !all {
			continue
		}
		t.Run(string(version)+" Redis", func(t *testing.T) {
			broker := testenv.Redis(t)
			_, port, err := net.SplitHostPort(broker.Addr)
			if err != nil {
				t.Fatal(err)
			}
			nestJS(t, version, broker.URL, "--transport", "redis", "--port", port)
		})
		t.Run(string(version)+" RabbitMQ", func(t *testing.T) {
			broker := testenv.RabbitMQ(t)
			queue := testenv.Unique(t, "items")
			nestJS(t, version, broker.URL+"/"+queue, "--transport", "rmq", "--url", broker.URL, "--queue", queue)
		})
	}
}

func nestJS(t *testing.T, version testenv.Version, address string, args ...string) {
	t.Helper()
	testenv.Nest(t, version, args...)
	v := connect(t, address)
	client := testenv.NestClient(t, version, args...)
	send := func(c testenv.Call) {
		c.Data = json.RawMessage(`{"password":"hunter2-seen"}`)
		if _, err := client.Call(c); err != nil {
			t.Fatal(err)
		}
	}
	send(testenv.Call{Pattern: json.RawMessage(`"echo"`)})
	send(testenv.Call{Pattern: json.RawMessage(`{"cmd":"streamThenError"}`)})
	send(testenv.Call{Pattern: json.RawMessage(`"user.created"`), Emit: true})
	if m := v.message("the request", of(micro.Name("echo"))); m.Outcome != reported.OK || m.Values != 1 || string(m.Reply) != `{"password":"***"}` || len(m.ID) == 0 {
		t.Errorf("%+v", m)
	}
	if m := v.message("the stream", of(micro.Cmd("streamThenError"))); m.Outcome != reported.Failed || m.Values != 2 || m.Error.Message != "stream failed" {
		t.Errorf("%+v", m)
	}
	if m := v.message("the event", func(m *tap.Message) bool { return m.Event }); m.Pattern != `"user.created"` || string(m.Data) != `{"password":"***"}` {
		t.Errorf("%+v", m)
	}
}
