package fault

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
)

func request(id int) string {
	return fmt.Sprintf(`{"pattern":{"cmd":"echo"},"data":"d%d","id":"%d"}`, id, id)
}

func answered(id int) string {
	return fmt.Sprintf(`{"response":"d%d","isDisposed":true,"id":"%d"}`, id, id)
}

const (
	many     = 500
	sentinel = `{"pattern":{"cmd":"other"},"data":"end","id":"end"}`
	ended    = `{"response":"end","isDisposed":true,"id":"end"}`
)

// hits returns the numbers of the messages that were affected, from the proxy's journal.
func hits(p *Proxy) (numbers []int) {
	for _, e := range p.Journal() {
		numbers = append(numbers, int(e.Number))
	}
	return numbers
}

// exchange sends many requests and reads the expected number of replies, in the order
// of their IDs. A sentinel shows that there are no others.
func exchange(t *testing.T, p *Proxy, answers int) []string {
	t.Helper()
	w := dial(t, p.Addr())
	for id := range many {
		w.send(request(id))
	}
	var got []string
	for range answers {
		got = append(got, w.next())
	}
	w.send(sentinel)
	if end := w.next(); end != ended {
		t.Errorf("unexpected reply: %s", end)
	}
	slices.Sort(got)
	return got
}

// TestSharesAreExact checks that exactly the messages in the journal were affected.
func TestSharesAreExact(t *testing.T) {
	tests := []struct {
		fault  string
		answer func(id int) string // of one that is hit; "" is none
		seen   func(hit int) int   // how many requests the service got
	}{
		{"error=20%", func(id int) string {
			return fmt.Sprintf(`{"err":{"status":503,"message":"injected by msctl"},"isDisposed":true,"id":"%d"}`, id)
		}, func(hit int) int { return many - hit }},
		{`error=20% status=429 message="too \"busy\" 😀"`, func(id int) string {
			return fmt.Sprintf(`{"err":{"status":429,"message":"too \"busy\" 😀"},"isDisposed":true,"id":"%d"}`, id)
		}, func(hit int) int { return many - hit }},
		{"drop=10%", func(int) string { return "" }, func(hit int) int { return many - hit }},
		{"drop-reply=5%", func(int) string { return "" }, func(int) int { return many }},
		{"duplicate=30%", answered, func(hit int) int { return many + hit }},
		{"latency=20ms±20ms share=50%", answered, func(int) int { return many }},
		{"reorder=40%", answered, func(int) int { return many }},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			s := serve(t)
			f := parse(t, test.fault)
			f.Pattern = echo.Route()
			d := newDraws(7, f, 0)
			var want []string
			var numbers []int
			for id := range many {
				answer := answered(id)
				if d.hits(uint64(id), f.Share) {
					numbers = append(numbers, id)
					answer = test.answer(id)
				}
				if answer != "" {
					want = append(want, answer)
				}
			}
			slices.Sort(want)
			p := before(t, s, Options{Seed: 7, Faults: []Fault{f}})
			got := exchange(t, p, len(want))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(numbers, hits(p)); diff != "" {
				t.Errorf("hits (-want +got):\n%s", diff)
			}
			// The last message may be a copy.
			eventually(t, "what the service gets", func() bool { return int(s.echoes.Load()) == test.seen(len(numbers))+1 })
			stats := p.Stats()
			if a := stats.Faults[0]; a.Matched != many || int(a.Hit) != len(numbers) || stats.Messages != many+1 {
				t.Errorf("stats: %+v", stats)
			}
			if share := float64(len(numbers)) / many; share < f.Share/2 || share > f.Share*1.5 {
				t.Errorf("%d of %d were affected, want a share of %v", len(numbers), many, f.Share)
			}
		})
	}
}

// TestOneSeedOneSequence checks that the same seed affects the same messages with the
// same delays, and that another seed affects others.
func TestOneSeedOneSequence(t *testing.T) {
	s := serve(t)
	run := func(seed uint64) []Event {
		p := before(t, s, Options{Seed: seed}, "latency=2ms±2ms share=30%", "error=10%", "error=10%", "drop-reply=10%", "duplicate=10%", "reorder=10%")
		w := dial(t, p.Addr())
		for id := range many {
			w.send(request(id))
		}
		eventually(t, "the messages", func() bool { return p.Stats().Messages == many })
		eventually(t, "their faults", func() bool { return p.Stats().Faults[0].Matched == many })
		_ = w.Close()
		_ = p.Close()
		return p.Journal()
	}
	one, again, another := run(1), run(1), run(2)
	if diff := cmp.Diff(one, again); diff != "" {
		t.Errorf("the same seed gives different sequences (-first +second):\n%s", diff)
	}
	if cmp.Equal(one, another) {
		t.Error("different seeds give the same sequence")
	}
	numbers := map[int][]uint64{}
	for _, e := range one {
		numbers[e.Fault] = append(numbers[e.Fault], e.Number)
	}
	if len(numbers) != 6 {
		t.Errorf("%d of 6 faults had an effect", len(numbers))
	}
	if cmp.Equal(numbers[2], numbers[3]) {
		t.Error("two identical faults affect the same messages")
	}
}

func TestLatencyIsOvertaken(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{}, "latency=1h first=1")
	w := dial(t, p.Addr())
	w.send(request(1), request(2), request(3))
	got := []string{w.next(), w.next()}
	slices.Sort(got) // of two quick handlers either may be the first
	if diff := cmp.Diff([]string{answered(2), answered(3)}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	w.send(sentinel)
	if last := w.next(); last != ended {
		t.Errorf("got %s", last)
	}
}

// TestLatencyOfAllKeepsOrder checks that equal delays do not change the order and do not
// add up.
func TestLatencyOfAllKeepsOrder(t *testing.T) {
	r := record(t)
	p := before(t, nil, Options{Target: []string{r.addr}}, "latency=100ms")
	w := dial(t, p.Addr())
	var want []string
	start := time.Now()
	for id := range 100 {
		want = append(want, request(id))
		w.send(request(id))
	}
	for id := range 100 {
		if got := w.next(); got != answered(id) || time.Since(start) < 100*time.Millisecond {
			t.Fatalf("%s after %v", got, time.Since(start))
		}
	}
	if diff := cmp.Diff(want, r.all()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func event(id int) string { return fmt.Sprintf(`{"pattern":"noted","data":"d%d"}`, id) }

func TestReorderSwapsNeighbors(t *testing.T) {
	r := record(t)
	p := before(t, nil, Options{Target: []string{r.addr}}, "reorder pattern=noted")
	w := dial(t, p.Addr())
	w.send(event(1), event(2), event(3), event(4), event(5))
	eventually(t, "the last message has arrived, which no other overtakes", func() bool { return len(r.all()) == 5 })
	if diff := cmp.Diff([]string{event(2), event(1), event(4), event(3), event(5)}, r.all()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// TestAStreamIsDroppedOrDuplicatedWhole checks that all packets of a reply are affected
// like its request.
func TestAStreamIsDroppedOrDuplicatedWhole(t *testing.T) {
	s := serve(t)
	const dropped = `{"pattern":{"cmd":"count"},"data":{},"id":"d"}`
	const ask = `{"pattern":{"cmd":"count"},"data":{},"id":"s"}`
	want := []string{`{"response":1,"id":"s"}`, `{"response":2,"id":"s"}`, `{"response":3,"id":"s"}`, `{"isDisposed":true,"id":"s"}`}
	p := before(t, s, Options{}, "drop-reply first=1 pattern=cmd=count", "duplicate pattern=cmd=count")
	w := dial(t, p.Addr())
	w.send(dropped, ask)
	var got []string
	for range want {
		got = append(got, w.next())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	w.send(sentinel)
	if end := w.next(); end != ended {
		t.Errorf("unexpected reply: %s", end)
	}
	eventually(t, "all packets of four answers", func() bool { return p.Stats().Replies == 17 })
}

func TestEventsAreDuplicatedAndDropped(t *testing.T) {
	r := record(t)
	p := before(t, nil, Options{Target: []string{r.addr}}, "duplicate first=2", "drop first=1 pattern=noted", "error", "drop-reply", "cut")
	w := dial(t, p.Addr())
	w.send(event(1), event(2), event(3))
	eventually(t, "the events", func() bool { return len(r.all()) == 3 })
	if diff := cmp.Diff([]string{event(2), event(2), event(3)}, r.all()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, a := range p.Faults()[2:] {
		if a.Matched != 0 {
			t.Errorf("%s affected an event, which has no reply", a.Fault)
		}
	}
}

func TestResetIsOfTheOneConnection(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{}, "reset first=1 pattern=cmd=echo")
	w, bystander := dial(t, p.Addr()), dial(t, p.Addr())
	w.send(request(1))
	if got := w.next(); !strings.Contains(got, "connection reset by peer") {
		t.Errorf("got %s", got)
	}
	bystander.send(request(2))
	if got := bystander.next(); got != answered(2) {
		t.Errorf("got %s", got)
	}
	if seen := s.echoes.Load(); seen != 1 {
		t.Errorf("the service got %d requests", seen)
	}
	eventually(t, "one connection left", func() bool { return p.Stats().Open == 1 })
}

func TestCutIsInTheMiddleOfAFrame(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{}, "cut pattern=cmd=echo")
	w := dial(t, p.Addr())
	w.send(sentinel)
	if got := w.next(); got != ended {
		t.Errorf("got %s", got)
	}
	w.send(request(1))
	whole := fmt.Sprintf("%d#%s", len(answered(1)), answered(1))
	if got := w.next(); got != "cut: "+whole[:len(whole)/2] {
		t.Errorf("got %s", got)
	}
	if seen := s.echoes.Load(); seen != 2 {
		t.Errorf("the service got %d requests", seen)
	}
}

// TestCutFailsACall checks how a real client reports a cut.
func TestCutFailsACall(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{}, "cut first=1")
	c := client(t, p.Addr())
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err == nil || !strings.Contains(err.Error(), "connection") {
		t.Errorf("the call ended with %v", err)
	}
	if got, err := micro.Call[string](t.Context(), c, echo, "y"); got != "y" || err != nil {
		t.Errorf("the next: %q, %v", got, err)
	}
}

func TestBandwidthIsSharedAndKeepsOrder(t *testing.T) {
	r := record(t)
	p := before(t, nil, Options{Target: []string{r.addr}}, "bandwidth=20KB/s")
	one, two := dial(t, p.Addr()), dial(t, p.Addr())
	start := time.Now()
	var sent []string
	for id := range 20 { // 20 frames of 100 bytes on each connection, 4000 bytes
		sent = append(sent, fmt.Sprintf(`{"pattern":"noted","data":"%068d"}`, id))
		one.send(sent[id])
		two.send(strings.Replace(sent[id], "noted", "other", 1))
	}
	eventually(t, "the events", func() bool { return len(r.all()) == 40 })
	if took := time.Since(start); took < 195*time.Millisecond {
		t.Errorf("4000 bytes took %v, want 20 KB/s", took)
	}
	var got []string
	for _, packet := range r.all() {
		if strings.Contains(packet, "noted") {
			got = append(got, packet)
		}
	}
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// TestBandwidthOfReplies checks that replies have the bandwidth of their direction.
func TestBandwidthOfReplies(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{}, "bandwidth=50KB/s")
	w := dial(t, p.Addr())
	start := time.Now()
	w.send(fmt.Sprintf(`{"pattern":{"cmd":"echo"},"data":"%s","id":"1"}`, strings.Repeat("x", 10_000)))
	w.next()
	if took := time.Since(start); took < 390*time.Millisecond {
		t.Errorf("10000 bytes and their echo took %v, want 50 KB/s", took)
	}
	if a := p.Faults()[0]; a.Hit != 1 || a.Replies != 1 {
		t.Errorf("stats: %+v", a)
	}
}

// TestBandwidthIsBackAtTheEndOfItsWindow checks that messages that still wait are then
// delivered in order, before later ones.
func TestBandwidthIsBackAtTheEndOfItsWindow(t *testing.T) {
	r := record(t)
	p := before(t, nil, Options{Target: []string{r.addr}}, "bandwidth=1B/s@0s+200ms")
	w := dial(t, p.Addr())
	begin := time.Now()
	p.Begin(begin)
	var want []string
	for id := range 20 { // more than 500 bytes, which would take ten minutes
		want = append(want, event(id))
		w.send(event(id))
	}
	eventually(t, "the end", func() bool { return time.Since(begin) >= 200*time.Millisecond })
	w.send(sentinel)
	if got := w.next(); got != ended {
		t.Error(got)
	}
	if diff := cmp.Diff(append(want, sentinel), r.all()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}
