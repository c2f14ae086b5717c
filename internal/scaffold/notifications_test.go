package scaffold

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

func withNotifications(t *testing.T) Workspace {
	t.Helper()
	w := shop()
	if err := w.AddExample("notifications"); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestExample(t *testing.T) {
	w := shop()
	if err := w.AddExample("weather"); err == nil || !strings.Contains(err.Error(), "the examples are notifications") {
		t.Errorf("error %v", err)
	}
	for _, test := range []struct {
		name     string
		services []Service
		want     string
	}{
		{"all of it", withNotifications(t).Services, ""},
		{"orders by another transport", []Service{{Name: "items", Port: 1}, {Name: "orders", Transport: workspace.NATS}}, ""},
		{"without orders", []Service{{Name: "items", Port: 1}}, "requires the services items and orders"},
		{"on another broker", []Service{{Name: "items", Port: 1}, {Name: "orders", Port: 2}, {Name: "notifications", Transport: workspace.Redis}}, "requires its service to be on rabbitmq"},
	} {
		w := Workspace{Name: "shop", Services: test.services}
		if err := w.AddExample("notifications"); err != nil {
			t.Fatal(err)
		}
		if err := w.Check(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
	// Without the example the name is one like any other.
	files := rendered(t, Workspace{Name: "shop", Services: []Service{{Name: "notifications", Port: 3002}}})
	if _, ok := files["apps/notifications/journal.go"]; ok {
		t.Error("a service of that name became the example")
	}
}

// TestGeneratedNotifications: the example is formatted, vetted and tidy, passes its
// tests, those with a real RabbitMQ too, and works: for the customer, for one whose
// mail server is busy, through the death of the worker, and with what is no message.
func TestGeneratedNotifications(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a whole workspace")
	}
	dir := t.TempDir()
	makeWorkspace(t, dir, withNotifications(t))
	formatted(t, dir)
	goTool(t, dir, nil, "go", "vet", "./...")
	goTool(t, dir, nil, "go", "build", "-o", filepath.Join(dir, "bin")+string(filepath.Separator), "./apps/...")
	rabbit := "RABBITMQ_URL=" + testenv.PrivateRabbitMQ(t).URL
	out := goTool(t, dir, []string{rabbit}, "go", "test", "-v", "./apps/notifications", "./apps/orders", "./internal/config", "./apps/gateway")
	if strings.Contains(out, "SKIP") {
		t.Errorf("tests were skipped:\n%s", out)
	}
	runNotifications(t, dir, rabbit)
	t.Run("tidy", func(t *testing.T) { tidy(t, dir) })
}

// worker is a run of notifications that the test may kill.
type worker struct {
	cmd  *exec.Cmd
	said *testenv.Log
}

func startWorker(t *testing.T, dir, rabbit string) worker {
	t.Helper()
	w := worker{exec.Command(filepath.Join(dir, "bin", "notifications"+exe())), &testenv.Log{}}
	w.cmd.Dir, w.cmd.Stderr = dir, w.said
	w.cmd.Env = append(os.Environ(), rabbit, "LOG_FORMAT=json")
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
		if t.Failed() {
			t.Logf("output of notifications:\n%s", w.said)
		}
	})
	return w
}

// emails counts the emails to one address.
func (w worker) emails(to string) int {
	return strings.Count(w.said.String(), `"msg":"email not sent: SMTP_URL is not set","service":"notifications","to":"`+to+`"`)
}

func runNotifications(t *testing.T, dir, rabbit string) {
	t.Helper()
	items, orders, port := testenv.Port(t), testenv.Port(t), testenv.Port(t)
	env := []string{rabbit, "ITEMS_URL=tcp://127.0.0.1:" + items, "ORDERS_URL=tcp://127.0.0.1:" + orders}
	start(t, dir, "items", "MS_PORT="+items)
	start(t, dir, "orders", append(slices.Clone(env), "MS_PORT="+orders)...)
	start(t, dir, "gateway", append(slices.Clone(env), "PORT="+port)...)
	first := startWorker(t, dir, rabbit)
	c := administrator(t, port)
	eventually(t, "GET /health is ok", func() bool { status, _ := c.do("GET", "/health", ""); return status == 200 })
	widget := c.create("/items", `{"name":"Widget","price":9.99}`)
	order := func(email string) {
		t.Helper()
		c.want(201, "POST", "/orders", fmt.Sprintf(`{"itemId":%q,"quantity":1,"email":%q}`, widget, email), "email", email)
	}
	c.want(400, "POST", "/orders", `{"itemId":"1","quantity":1,"email":"invalid"}`, "message", "[email must be an email]")
	order("ada@shop.example")
	eventually(t, "the email", func() bool { return first.emails("ada@shop.example") == 1 })
	c.want(200, "GET", "/notifications/counts", "", "sent", 1, "failed", 0)
	c.wantDocument()

	// The worker fails, dies while the message waits, and another continues. Orders
	// are accepted in the meantime.
	order("bob@busy.example")
	eventually(t, "the first attempt fails", func() bool { return strings.Contains(first.said.String(), "the mail server is busy") })
	_ = first.cmd.Process.Kill()
	_ = first.cmd.Wait()
	order("eve@shop.example")
	second := startWorker(t, dir, rabbit)
	eventually(t, "the second attempt", func() bool {
		return strings.Contains(second.said.String(), `"attempt":2,"error":"the mail server is busy"`)
	})
	eventually(t, "the email that had to wait", func() bool { return second.emails("eve@shop.example") == 1 })
	if n := second.emails("ada@shop.example"); n != 0 {
		t.Errorf("an email was sent again %d times", n)
	}
	deadLettersOf(t, rabbit, order)
}

// deadLettersOf sends messages that cannot be handled and checks the dead-letter queue.
func deadLettersOf(t *testing.T, rabbit string, order func(email string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, url, _ := strings.Cut(rabbit, "=")
	client := micro.NewClient(microrabbit.Dial(url, "notifications"))
	defer func() { _ = client.Close() }()
	if err := client.Emit(ctx, micro.Name("order.v1.created"), "no order"); err != nil {
		t.Fatal(err)
	}
	order("mallory@bounce.example")

	type letter struct {
		Reason, Error, Body string
		Attempts            int
	}
	var found []letter
	eventually(t, "two dead letters", func() bool {
		var err error
		if found, err = micro.Call[[]letter](ctx, client, micro.Cmd("findDeadLetters"), micro.None{}); err != nil {
			t.Fatal(err)
		}
		return len(found) == 2
	})
	all := fmt.Sprintf("%+v", found)
	for _, part := range []string{"no order", "mallory@bounce.example", "no such mailbox", "Reason:permanent", "Attempts:1"} {
		if !strings.Contains(all, part) {
			t.Errorf("%q is not in the dead letters: %s", part, all)
		}
	}
	again, err := micro.Call[struct{ Count int }](ctx, client, micro.Cmd("replayDeadLetters"), map[string]int{"limit": 1})
	if err != nil || again.Count != 1 {
		t.Errorf("replayed %+v, %v", again, err)
	}
}
