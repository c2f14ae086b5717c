package conformance

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// replicas checks that several servers of one link share the messages, or that each handles all of them.
func replicas(e *env) {
	kind := e.tr.Facts.Replicas
	const n, servers = 200, 2
	var runs [servers]atomic.Int64
	got := make(chan happened, servers*n)
	for i := range servers {
		s, _ := e.server()
		micro.HandleFunc(s, echo, func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			runs[i].Add(1)
			return passThrough(ctx, req, reply)
		})
		report(s, note, strconv.Itoa(i), got, nil)
		e.serve(e.link, s)
	}
	c := e.client(e.link)
	for i := range n {
		e.same("answer", next(strconv.Itoa(i)), e.ask(c, echo, strconv.Itoa(i)))
	}
	for i := range n { // after the requests: a broker that alternates would give one server all requests and the other all events
		e.emit(c, note, strconv.Itoa(i))
	}
	want := int64(n)
	if kind == Repeated {
		want *= servers
	}
	e.eventually("all requests have been handled", func() bool { return runs[0].Load()+runs[1].Load() >= want })
	byServer, byData := map[string]int{}, map[string]int{}
	for range want {
		h := await(e, "each event", got)
		byServer[h.Handler]++
		byData[h.Data]++
	}
	e.nothingMore(c, got)
	e.same("runs", want, runs[0].Load()+runs[1].Load())
	for i := range n {
		if data := strconv.Itoa(i); byData[data] != int(want)/n {
			e.Errorf("event %s was handled %d times, want %d", data, byData[data], int(want)/n)
		}
	}
	for i := range servers {
		if runs[i].Load() == 0 || byServer[strconv.Itoa(i)] == 0 {
			e.Errorf("server %d handled %d requests and %d events", i, runs[i].Load(), byServer[strconv.Itoa(i)])
		}
	}
}

// answersOfAll checks that a request for the answers of all servers returns one answer of each server that handles it. It
// ends at the deadline if the client cannot know the number of servers.
func answersOfAll(e *env) {
	servers := 2
	if e.tr.Facts.Replicas == OneServer {
		servers = 1
	}
	for range servers {
		s, _ := e.server()
		micro.Handle(s, micro.Cmd("who"), func(context.Context, micro.None) (string, error) { return "me", nil })
		e.serve(e.link, s)
	}
	c := e.client(e.link)
	e.same("before", next(`"me"`), e.ask(c, micro.Cmd("who"), "1")) // establishes the connection
	got := Observe(e.Context(), c, &micro.Request{Pattern: micro.Cmd("who"), Data: []byte("1"), All: true, Deadline: time.Now().Add(3 * time.Second)}, 0)
	want := next(`"me"`)
	if e.tr.Facts.Replicas == Repeated {
		want = next(`"me"`, `"me"`)
	}
	if last := len(got) - 1; last >= 0 && got[last] == End(micro.ErrTimeout) && e.tr.Facts.Replicas != OneServer {
		got[last] = complete
	}
	e.same("answers", want, got)
}
