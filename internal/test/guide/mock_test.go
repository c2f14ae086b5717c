package guide_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/replay"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/node"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestMock: a mock takes the place of NestJS's service, of which a session was recorded, and NestJS's gateway responds as it did then,
// byte for byte.
func TestMock(t *testing.T) {
	testenv.NeedNest(t, testenv.NestApps)
	l := &lab{t: t, transport: "tcp", gateways: map[maker]string{}, items: testenv.Port(t)}
	l.gateways[nestJS] = l.startNest("gateway", map[string]string{
		"MS_ONE_HOST": "127.0.0.1", "MS_ONE_PORT": l.items, "HEALTH": "items", "JWT_SECRET": tokenSecret, "RATE_LIMIT": "1000000",
		"CALL_TIMEOUT": "10000",
	}).Addr
	system := system{nestJS, nestJS, l.gateways[nestJS]}

	hub, err := tap.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	script, err := node.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range append(node.Env(script, nil), hub.Env("items")) {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	end := l.startNest("items", map[string]string{"FAIL_ON": failingName, "MS_HOST": "127.0.0.1", "MS_PORT": l.items}).Stop
	testenv.Eventually(t, limit, "the service is ready", func() bool {
		got, err := system.script().send(t.Context(), row{target: "GET /items", caller: "user"})
		return err == nil && got.status == 200
	})
	began := time.Now().UnixNano()
	want := exactly(t, system)
	end()

	session := recorded(t, hub, began)
	mock := replay.NewMock(session, false)
	listener := microtcp.Listen("127.0.0.1:" + l.items)
	server := mock.Server("items", slog.New(slog.DiscardHandler), session.Patterns())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, listener) }()
	if err := listener.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, exactly(t, system)); diff != "" {
		t.Errorf("responses (-of the service +with the mock):\n%s", diff)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if stats := mock.Stats(); stats.Unknown != 0 {
		t.Errorf("the mock knew %d messages less than the service", stats.Unknown)
	}
}

// exactly sends the rows about items and returns the whole bodies of the responses.
func exactly(t *testing.T, s system) (bodies []string) {
	t.Helper()
	script := s.script()
	for _, r := range itemRows() {
		got, err := script.send(t.Context(), r)
		if err != nil || got.status != r.status {
			t.Errorf("%s: %d %s, %v, want %d", r.name, got.status, got.body, err, r.status)
		}
		if id := allIDs.FindStringSubmatch(got.body); r.keep != "" && id != nil {
			script.ids[r.keep] = id[1]
		}
		bodies = append(bodies, r.name+": "+responseTimes.ReplaceAllString(got.body, "…"))
	}
	return bodies
}

// responseTimes are what the gateway measures.
var responseTimes = regexp.MustCompile(`"responseTime":\d+`)

// recorded returns the recording of what a service that has ended has handled since a time.
func recorded(t *testing.T, hub *tap.Hub, since int64) *replay.Recording {
	t.Helper()
	hub.Close() // reads what the service has reported
	_, messages := hub.View()
	var file bytes.Buffer
	lines := json.NewEncoder(&file)
	for _, m := range messages {
		if m.Start < since {
			continue
		}
		if err := lines.Encode(m); err != nil {
			t.Fatal(err)
		}
	}
	r, err := replay.Load(&file, "items")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Exchanges) < 20 || r.Cut+r.Unanswered > 0 {
		t.Fatalf("%d exchanges, %d cut, %d unanswered:\n%s", len(r.Exchanges), r.Cut, r.Unanswered, file.String())
	}
	return r
}
