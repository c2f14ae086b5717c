package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/conformance"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
)

// place is the address of one service.
type place struct {
	url, queue string
	wild       bool // the service uses wildcards
}

// setup starts the programs of one version of NestJS, and ours, on one kind of broker.
type setup struct {
	b       broker
	version testenv.Version
	url     string // of the shared broker; "" if each service has its own
}

func rabbit() broker {
	return broker{
		name: "rmq", start: testenv.RabbitMQ, separate: true,
		listen: func(p place) conformance.Listener {
			if p.wild {
				return microrabbit.Listen(p.url, p.queue, microrabbit.WithTopology(microrabbit.Topology{Wildcards: true}))
			}
			return microrabbit.Listen(p.url, p.queue)
		},
		dial: func(p place) micro.Conn {
			if p.wild {
				return microrabbit.Dial(p.url, p.queue, microrabbit.WithTopology(microrabbit.Topology{Wildcards: true}))
			}
			return microrabbit.Dial(p.url, p.queue)
		},
		wildFrom10: false,
	}
}

func redis() broker {
	return broker{
		name: "redis", start: testenv.PrivateRedis,
		listen: func(p place) conformance.Listener {
			if p.wild {
				return microredis.Listen(p.url, microredis.WithWildcards())
			}
			return microredis.Listen(p.url)
		},
		dial:       func(p place) micro.Conn { return microredis.Dial(p.url) },
		wildFrom10: true,
	}
}

func nats() broker {
	return broker{
		name: "nats", start: testenv.PrivateNATS,
		listen:     func(p place) conformance.Listener { return micronats.Listen(p.url) },
		dial:       func(p place) micro.Conn { return micronats.Dial(p.url) },
		wildFrom10: true,
	}
}

// open starts all programs and returns the pairs of clients and servers.
func (h setup) open(t *testing.T) []pair {
	t.Helper()
	nestToNest, nestToOurs, oursToNest := &pair{name: "nest-nest"}, &pair{name: "nest-msctl"}, &pair{name: "msctl-nest"}
	var all sync.WaitGroup
	for _, wild := range []bool{false, true} {
		if wild && !h.b.wildFrom10 && h.version == testenv.Nest10 {
			continue
		}
		theirs, ours := h.place(t, "nest", wild), h.place(t, "msctl", wild)
		at := func(p *pair) **link {
			if wild {
				return &p.wild
			}
			return &p.plain
		}
		w := h.startTwin(t, ours)
		us := micro.NewClient(h.b.dial(theirs), micro.WithTimeout(answerTimeout))
		t.Cleanup(func() { _ = us.Close() })
		all.Go(func() {
			server := &nestService{server: testenv.Nest(t, h.version, append(h.args(theirs), "--verbose")...)}
			*at(nestToNest) = &link{&nestCaller{testenv.NestClient(t, h.version, h.args(theirs)...)}, server, h.barrier(theirs, true)}
			*at(oursToNest) = &link{&ourCaller{us}, server, h.barrier(theirs, true)}
		})
		all.Go(func() {
			*at(nestToOurs) = &link{&nestCaller{testenv.NestClient(t, h.version, h.args(ours)...)}, w, h.barrier(ours, false)}
		})
	}
	all.Wait()
	return []pair{*nestToNest, *nestToOurs, *oursToNest}
}

// place returns a new place for one service: a queue, or a broker.
func (h setup) place(t *testing.T, who string, wild bool) place {
	t.Helper()
	p := place{url: h.url, wild: wild}
	if h.url == "" {
		p.url = h.b.start(t).URL
	}
	if h.b.separate {
		p.queue = testenv.Unique(t, fmt.Sprintf("%s-%s-%t", who, h.version, wild))
	}
	return p
}

// args returns the arguments of the NestJS programs for a place.
func (h setup) args(p place) []string {
	args := []string{"--transport", h.b.name, "--url", p.url}
	if p.queue != "" {
		args = append(args, "--queue", p.queue)
	}
	if p.wild {
		args = append(args, "--wildcards")
	}
	return args
}

// barrier returns a request that the service at a place answers, or nil if there is none.
func (h setup) barrier(p place, nest bool) *testenv.Call {
	pattern := `{"cmd":"echo"}`
	if p.wild {
		pattern = map[string]string{"rmq": `"exact.key"`, "nats": `"logs.x"`, "redis": `"hello"`}[h.b.name]
		if nest && h.b.name == "redis" && h.version != testenv.Nest12 {
			return nil // their answers to wildcard patterns do not arrive
		}
	}
	call := send(pattern, strings.TrimSpace(barrierMark))
	return &call
}

// startTwin serves our service until the test ends.
func (h setup) startTwin(t *testing.T, p place) *twin {
	t.Helper()
	w := newTwin()
	if p.wild {
		w = newWildTwin(h.b.name)
	}
	l := h.b.listen(p)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	ready, cancel := context.WithTimeout(t.Context(), answerTimeout)
	defer cancel()
	if err := l.Ready(ready); err != nil {
		t.Fatalf("our server is not ready: %v", err)
	}
	return w
}

// nestID matches the ID of a NestJS request.
var nestID = regexp.MustCompile(`"id":"[0-9a-f]{21}"`)

// nestCaller is a real ClientProxy.
type nestCaller struct{ proxy *testenv.NestProxy }

func (c *nestCaller) call(ctx context.Context, call testenv.Call) []string {
	deadline, _ := ctx.Deadline()
	call.Timeout = int(time.Until(deadline).Milliseconds())
	events, err := c.proxy.Call(call)
	if err != nil {
		return []string{err.Error()}
	}
	var seen []string
	for _, e := range events {
		e.Value = json.RawMessage(shaped(e.Value))
		seen = append(seen, nestID.ReplaceAllString(e.String(), `"id":"I"`))
	}
	return seen
}

// ourCaller is our client.
type ourCaller struct{ client *micro.Client }

func (c *ourCaller) call(ctx context.Context, call testenv.Call) []string {
	var seen []string
	err := c.client.Do(ctx, &micro.Request{Pattern: parse(string(call.Pattern)), Data: call.Data, Event: call.Emit}, micro.ReplyFunc(func(v micro.Value) error {
		if !v.Undefined() {
			v.Raw = json.RawMessage(shaped(v.Raw))
		}
		seen = append(seen, conformance.Next(v))
		return nil
	}))
	switch {
	case call.Emit && err == nil:
		return emitted
	case errors.Is(err, micro.ErrNotServed):
		return append(seen, `{"error":`+notServed+`}`)
	case errors.Is(err, micronats.ErrTooLarge):
		return append(seen, `{"error":`+tooLarge+`}`)
	}
	return append(seen, conformance.End(err))
}

// shaped returns a value without the member ctx, which NestJS's wildcard handlers add.
func shaped(text json.RawMessage) string {
	var answer struct {
		Matched *string         `json:"matched"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(text, &answer) == nil && answer.Matched != nil {
		return fmt.Sprintf(`{"matched":%q,"data":%s}`, *answer.Matched, answer.Data)
	}
	return string(text)
}

// nestService is a NestJS server that reports the calls of its handlers.
type nestService struct{ server *testenv.NestServer }

func (s *nestService) handled() []string {
	var runs []string
	handlers := map[string][]string{} // by pattern, in the order of their first runs
	for _, h := range s.server.Handled() {
		pattern, data := string(h.Pattern), string(h.Data)
		n := slices.Index(handlers[pattern], h.Handler) + 1
		if n == 0 {
			handlers[pattern] = append(handlers[pattern], h.Handler)
			n = len(handlers[pattern])
		}
		if strings.HasPrefix(data, `{"response":`) {
			data = "(reply)"
		}
		runs = append(runs, runLine(pattern, n, data))
	}
	return runs
}
