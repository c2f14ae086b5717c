package fault

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestWindows checks that a fault with a window is active only in it, and one without
// always, and that both always count the messages they match.
func TestWindows(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{}, "error@10h+5h", "error@100h status=500", "drop=1% pattern=cmd=other")
	w := dial(t, p.Addr())
	now := time.Now()
	id := 0
	check := func(what, want string) {
		t.Helper()
		id++
		w.send(request(id))
		if want == "" {
			want = answered(id)
		} else {
			want = fmt.Sprintf(`{"err":{"status":%s,"message":"injected by msctl"},"isDisposed":true,"id":"%d"}`, want, id)
		}
		if got := w.next(); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	check("no run yet", "")
	p.Begin(now)
	check("at the start", "")
	p.Begin(now.Add(-9 * time.Hour))
	check("before the window", "")
	p.Begin(now.Add(-12 * time.Hour))
	check("in the window", "503")
	if f := p.Faults(); !f[0].Acting || f[1].Acting || !f[2].Acting {
		t.Errorf("acting: %+v", f)
	}
	p.Begin(now.Add(-16 * time.Hour))
	check("after the window", "")
	p.Begin(now.Add(-101 * time.Hour))
	check("in a window without a length", "500")
	for i, want := range []Active{
		{ID: 1, Matched: 6, Hit: 1}, {ID: 2, Matched: 6, Hit: 1, Acting: true}, {ID: 3, Acting: true},
	} {
		got := p.Faults()[i]
		got.Fault = Fault{}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("fault %d (-want +got):\n%s", i+1, diff)
		}
	}
}

// TestFirstCountsInTheWindow checks that messages before the window do not count toward
// first.
func TestFirstCountsInTheWindow(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{}, "error@1h first=2")
	w := dial(t, p.Addr())
	for id := range 3 {
		w.send(request(id))
		w.next()
	}
	p.Begin(time.Now().Add(-2 * time.Hour))
	for id := range 4 {
		w.send(request(id))
		w.next()
	}
	if diff := cmp.Diff([]int{3, 4}, hits(p)); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
}

func TestStallHoldsBothWaysAndKeepsOrder(t *testing.T) {
	r := record(t)
	p := before(t, nil, Options{Target: []string{r.addr}}, "stall@0s+400ms")
	w := dial(t, p.Addr())
	w.send(request(0))
	if got := w.next(); got != answered(0) {
		t.Fatal(got)
	}
	begin := time.Now()
	p.Begin(begin)
	var want []string
	for id := range 200 { // some while it lasts, the others behind them
		want = append(want, request(id))
		if id > 0 {
			w.send(request(id))
		}
		if id == 100 {
			if seen := len(r.all()); seen != 1 && time.Since(begin) < 400*time.Millisecond {
				t.Errorf("%d were delivered", seen)
			}
			eventually(t, "the end", func() bool { return time.Since(begin) >= 400*time.Millisecond })
		}
	}
	for id := 1; id < 200; id++ {
		if got := w.next(); got != answered(id) {
			t.Fatalf("answer %d: %s", id, got)
		}
	}
	if diff := cmp.Diff(want, r.all()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// TestStallHoldsReplies checks replies to requests sent before the stall.
func TestStallHoldsReplies(t *testing.T) {
	for _, fault := range []string{"stall@0s+9000h", "stall@0s+9000h pattern=cmd=echo"} {
		s, release := serveLate(t)
		p := before(t, s, Options{}, fault)
		w := dial(t, p.Addr())
		w.send(request(1))
		eventually(t, "the request", func() bool { return s.echoes.Load() == 1 })
		p.Begin(time.Now())
		release()
		eventually(t, "the reply to be held", func() bool { f := p.Faults()[0]; return f.Hit == 0 && f.Replies == 1 })
		p.Clear()
		if got := w.next(); got != answered(1) {
			t.Errorf("%s: got %s", fault, got)
		}
	}
}

func TestRemovingAStallDeliversWhatItHolds(t *testing.T) {
	r := record(t)
	p := before(t, nil, Options{Target: []string{r.addr}}, "stall@0s+9000h")
	p.Begin(time.Now())
	w := dial(t, p.Addr())
	w.send(request(1), request(2), request(3))
	eventually(t, "all to be held", func() bool { return p.Faults()[0].Hit == 3 })
	if !p.Remove(1) || p.Remove(1) {
		t.Error("unexpected result of Remove")
	}
	for id := 1; id <= 3; id++ {
		if got := w.next(); got != answered(id) {
			t.Errorf("got %s", got)
		}
	}
	if stats := p.Stats(); len(stats.Faults) != 1 || !stats.Faults[0].Removed || stats.Faults[0].Hit != 3 {
		t.Errorf("stats: %+v", stats)
	}
}

func TestBlackholeSwallowsBothWays(t *testing.T) {
	for _, fault := range []string{"blackhole@0s+9000h", "blackhole@0s+9000h pattern=cmd=echo"} {
		s, release := serveLate(t)
		p := before(t, s, Options{}, fault)
		w := dial(t, p.Addr())
		w.send(request(1))
		eventually(t, "the request", func() bool { return s.echoes.Load() == 1 })
		p.Begin(time.Now())
		w.send(request(2))
		release()
		eventually(t, "both to be swallowed", func() bool { f := p.Faults()[0]; return f.Hit == 1 && f.Replies == 1 })
		p.Clear()
		w.send(sentinel)
		if got := w.next(); got != ended {
			t.Errorf("%s: got %s", fault, got)
		}
		if seen := s.echoes.Load(); seen != 2 {
			t.Errorf("%s: the service got %d requests", fault, seen)
		}
	}
}

func TestFaultsOfOnePattern(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{}, `error pattern={"cmd":"echo"}`)
	w := dial(t, p.Addr())
	w.send(sentinel)
	if got := w.next(); got != ended {
		t.Errorf("got %s", got)
	}
	for _, pattern := range []string{`{"cmd":"echo"}`, `{ "cmd" : "ech\u006f" }`, `"{\"cmd\":\"echo\"}"`} {
		w.send(`{"pattern":` + pattern + `,"data":"x","id":"1"}`)
		if got := w.next(); got != `{"err":{"status":503,"message":"injected by msctl"},"isDisposed":true,"id":"1"}` {
			t.Errorf("%s: got %s", pattern, got)
		}
	}
}

func TestFaultsAProxyCannotDo(t *testing.T) {
	tests := []struct {
		fault Fault
		raw   bool
		want  string
	}{
		{Fault{Kind: Pause, Length: time.Second}, false, "pause@0s+1s: a proxy cannot pause a process: use stall, which holds the messages"},
		{Fault{Kind: "flood"}, false, `flood: unknown fault "flood": use one of bandwidth, blackhole, cut, drop, drop-reply, duplicate, error, latency, pause, reorder, reset, stall`},
		{Fault{Kind: Drop, Share: 2}, false, "drop: a field is set that drop does not have"},
		{Fault{Kind: Drop, Share: -1}, false, "drop: a field is set that drop does not have"},
		{Fault{Kind: Drop, Delay: time.Second}, false, "drop: a field is set that drop does not have"},
		{Fault{Kind: Drop, Start: -time.Second}, false, "drop: a field is set that drop does not have"},
		{Fault{Kind: Latency}, false, "latency=0s: the delay must be greater than 0"},
		{Fault{Kind: Stall}, false, "stall: stall requires a length: stall@10s+4s starts after 10s and lasts 4s"},
		{Fault{Kind: Error}, true, "error: it requires messages, and this proxy sees only bytes: use latency, reset, cut, blackhole, stall, bandwidth"},
		{Fault{Kind: Reset, Pattern: "a"}, true, "reset pattern=a: a pattern requires messages, and this proxy sees only bytes"},
	}
	for _, test := range tests {
		_, err := Start(t.Context(), Options{Target: []string{"127.0.0.1:1"}, Raw: test.raw, Faults: []Fault{test.fault}})
		var refused *RefusedError
		if !errors.As(err, &refused) || err.Error() != test.want {
			t.Errorf("%+v: %v, want %s", test.fault, err, test.want)
		}
	}
}

// TestAFaultOfZeroValues checks the defaults of zero fields.
func TestAFaultOfZeroValues(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{Faults: []Fault{{Kind: Error}}})
	want := Fault{Kind: Error, Share: 1, Status: DefaultStatus, Message: DefaultMessage}
	if diff := cmp.Diff(want, p.Faults()[0].Fault); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
