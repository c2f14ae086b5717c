package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// goVariable makes this test binary a Go service of a chain: a goService as JSON.
const goVariable = "MSCTL_TEST_GO_SERVICE"

// goService is a service on our runtime, between NestJS services.
type goService struct {
	Name   string // part of its patterns
	Listen string // the URL of its transport; empty without
	HTTP   string // the address of its gateway; empty without
	Next   string // the URL of the service that it calls
	To     string // that service's name
}

// hop is the reply of a chain: the services that the message passed.
type hop struct {
	Via []string `json:"via"`
}

func pattern(cmd, service string) micro.Pattern {
	return micro.Fields(map[string]any{"cmd": cmd, "svc": service})
}

// serveGo runs a Go service until its standard input ends.
func serveGo(config string) error {
	var s goService
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	conn, err := dialURL(ctx, s.Next)
	if err != nil {
		return err
	}
	next := micro.NewClient(conn, micro.WithTimeout(limit), micro.WithInterceptors(func(send micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			req.Metadata.Set("Authorization", "Bearer hunter2")
			req.Metadata.Set("x-api-key", "hunter2")
			return send(ctx, req, reply)
		}
	}))
	defer func() { _ = next.Close() }()
	if s.HTTP != "" {
		return serveGateway(ctx, s, next)
	}
	return serveMessages(ctx, s, next)
}

// serveMessages handles the same patterns as tap-service.mjs in the middle of a chain.
func serveMessages(ctx context.Context, s goService, next *micro.Client) error {
	server := micro.NewServer(micro.WithName(s.Name, ""), micro.WithLogger(slog.New(slog.DiscardHandler)))
	for _, cmd := range []string{"hop", "fail"} {
		micro.Handle(server, pattern(cmd, s.Name), func(ctx context.Context, data map[string]any) (hop, error) {
			out, err := micro.Call[hop](ctx, next, pattern(cmd, s.To), data)
			return hop{append([]string{s.Name}, out.Via...)}, err
		})
	}
	listener, err := listenURL(ctx, s.Listen)
	if err != nil {
		return err
	}
	go func() {
		if listener.Ready(ctx) == nil {
			announce()
		}
	}()
	return server.Serve(ctx, listener)
}

func serveGateway(ctx context.Context, s goService, next *micro.Client) error {
	gw := gateway.New(s.Name, gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithTimeout(limit))
	for _, cmd := range []string{"hop", "fail"} {
		gateway.Route(gw, "POST /"+cmd, next, micro.NewMethod[map[string]any, hop](pattern(cmd, s.To)), gateway.WithPublic())
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.HTTP)
	if err != nil {
		return err
	}
	announce()
	return gw.ServeListener(ctx, listener)
}

// announce prints the line that run waits for.
func announce() { fmt.Println(`{"event":"listening"}`) }

func dialURL(ctx context.Context, url string) (micro.Conn, error) {
	var flags target.Flags
	to, err := flags.Parse(ctx, url)
	if err != nil {
		return nil, err
	}
	return flags.Dial(to, target.DialOptions{})
}

func listenURL(ctx context.Context, url string) (target.Listener, error) {
	if address, ok := strings.CutPrefix(url, "tcp://"); ok {
		return microtcp.Listen(address), nil
	}
	var flags target.Flags
	to, err := flags.Parse(ctx, url)
	if err != nil {
		return nil, err
	}
	return flags.Listen(to)
}

// target returns the URL of a link.
func (l link) target() string {
	switch l["transport"] {
	case "tcp":
		return "tcp://127.0.0.1:" + l["port"]
	case "rmq":
		return l["url"] + "/" + l["queue"]
	}
	return l["url"]
}

// checkMasked checks that no secret is in the records, and that some were in what was sent.
func checkMasked(t *testing.T, all []tap.Message) {
	t.Helper()
	data, metadata := 0, 0
	for _, m := range all {
		if strings.Contains(text([]tap.Message{m}), "hunter2") {
			t.Errorf("a record contains a secret: %s", text([]tap.Message{m}))
		}
		if string(m.Data) == `{"caller":{"token":"***"},"item":7,"password":"***"}` {
			data++
		}
		if m.Metadata["Authorization"] == "***" {
			metadata++
		}
	}
	if data < 6 || metadata < 2 {
		t.Errorf("masked data in %d records, want 6 or more, and metadata in %d, want 2 or more:\n%s", data, metadata, text(all))
	}
}

func post(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"caller":{"token":"hunter2"},"item":7,"password":"hunter2"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}

// startGo starts a Go service whose messages the collector gets.
func (c *collector) startGo(t *testing.T, s goService) {
	t.Helper()
	config, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(clean(), c.Env(s.Name), goVariable+"="+string(config))
	run(t, cmd)
}

// mixedTrees are the requests to the chain of TestMixed, with their trees.
func mixedTrees() map[string]string {
	const internal = `"Internal server error"`
	return map[string]string{
		"/hop": `
http gateway POST /hop ok 201
  send gateway hop ok
    handle twelve hop ok
      send twelve hop ok
        handle two hop ok
          send two hop ok
            handle ten hop ok
`, "/fail": `
http gateway POST /fail error 500
  send gateway fail error ` + internal + `
    handle twelve fail error ` + internal + `
      send twelve fail error ` + internal + `
        handle two fail error ` + strconv.Quote(`call {"cmd":"fail","svc":"ten"}: Internal server error`) + `
          send two fail error ` + internal + `
            handle ten fail error "out of stock" of its own
`,
	}
}

// TestMixed: one request passes a Go gateway, NestJS 12, a Go service, and NestJS 10, and its tree has every hop, each time. An
// error of the last service is attributed to it. With MSCTL_TEST_ALL, on every transport; otherwise on TCP.
func TestMixed(t *testing.T) {
	for _, transport := range []string{"tcp", "rmq", "redis", "nats"} {
		t.Run(transport, func(t *testing.T) {
			if transport != "tcp" && os.Getenv("MSCTL_TEST_ALL") == "" {
				t.Skip("set MSCTL_TEST_ALL to run it")
			}
			testMixed(t, transport)
		})
	}
}

func testMixed(t *testing.T, transport string) {
	t.Helper()
	testenv.NeedNest(t, testenv.Nest12)
	testenv.NeedNest(t, testenv.Nest10)
	c := listen(t)
	links := newLinks(t, transport, "twelve", "two", "ten")
	twelve, two, ten := links[0], links[1], links[2]
	script := preload(t)
	next := func(l link) string {
		text, _ := json.Marshal(l) // never fails for strings
		return string(text)
	}
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	c.start(t, testenv.Nest10, script, "ten", append([]string{"tap-service.mjs"}, ten.args()...)...)
	c.startGo(t, goService{Name: "two", Listen: two.target(), Next: ten.target(), To: "ten"})
	c.start(t, testenv.Nest12, script, "twelve", append([]string{"tap-service.mjs", "--next", next(two)}, twelve.args()...)...)
	c.startGo(t, goService{Name: "gateway", HTTP: address, Next: twelve.target(), To: "twelve"})
	edge := "http://" + address
	for n := range 100 {
		for path, want := range mixedTrees() {
			post(t, edge+path)
			got := ""
			c.await(t, fmt.Sprintf("%s, run %d, want:%s", path, n, want), func(all []tap.Message) bool {
				got = tree(all, path)
				return got == want[1:]
			})
			if d := diff.Diff(want[1:], got); d != "" {
				t.Fatalf("%s, run %d (-want +got):\n%s", path, n, d)
			}
			checkMasked(t, c.all)
			c.all = nil
		}
	}
}
