package tui

import (
	"math"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/policy"
)

// still is a run whose snapshots are the same until a test changes them. It records calls.
type still struct {
	mu    sync.Mutex
	snap  load.Snapshot
	fault string
	calls []string
}

func (s *still) Snapshot(int) load.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snap
}

func (s *still) note(text string, change func(*load.Snapshot)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, text)
	change(&s.snap)
	return nil
}

func (s *still) Stop() {
	_ = s.note("stop", func(n *load.Snapshot) { n.Phase = load.Finished })
}
func (s *still) SetRate(v float64) error {
	return s.note("rate "+short(v), func(n *load.Snapshot) { n.Rate = v })
}
func (s *still) SetUsers(v int) error {
	return s.note("users "+short(float64(v)), func(n *load.Snapshot) { n.Users = v })
}
func (s *still) SetTimeout(d time.Duration) error {
	return s.note("timeout "+d.String(), func(n *load.Snapshot) { n.Policy.Timeout = d })
}
func (s *still) SetRetries(v int) error {
	return s.note("retries "+short(float64(v)), func(n *load.Snapshot) { n.Policy.Retries = v })
}
func (s *still) SetPreset(name string) error {
	return s.note("preset "+name, func(n *load.Snapshot) {
		p, _ := policy.Preset(name)
		n.Policy = p.Settings()
	})
}
func (s *still) Fire() error     { return s.note("fire", func(*load.Snapshot) {}) }
func (s *still) CanFire() string { return s.fault }

// The story of all samples: 60 requests per second for 30 s, and a service that stops for
// 4 s after 8 s.
const (
	storyRate   = 60
	storyStep   = 250 * time.Millisecond
	storyLength = 30 * time.Second
)

func storyTrigger() load.Trigger {
	return load.Trigger{At: 8 * time.Second, Length: 4 * time.Second, Text: "stall 4s"}
}

// story returns the run at a moment. backAt is when goodput returns; zero means never.
func story(p *policy.Policy, elapsed, backAt time.Duration) load.Snapshot {
	s := load.Snapshot{
		Elapsed: elapsed, Planned: storyLength, Counted: min(elapsed, storyLength), Phase: load.Loading,
		Rate: storyRate, Step: storyStep, Policy: p.Settings(),
		OK:      load.Latency{Count: 900, Min: 1e6, Mean: 90e6, P50: 12_870_000, P90: 27_200_000, P95: 300e6, P99: 1_203_000_000, P999: 1_240_000_000, Max: 1_250_000_000},
		All:     load.Latency{Count: 1000, Min: 1e6, Mean: 190e6, P50: 14_100_000, P90: 1_190_000_000, P95: 1_200e6, P99: 1_220_000_000, P999: 1_245_000_000, Max: 1_260_000_000},
		Attempt: load.Latency{Count: 1400, Min: 1e6, Mean: 12e6, P50: 11_100_000, P90: 21_000_000, P95: 40e6, P99: 288_000_000, P999: 298_000_000, Max: 299_000_000},
		Spread:  []load.Bucket{{UpTo: 5e6, Count: 13}, {UpTo: 10e6, Count: 250}, {UpTo: 20e6, Count: 200}, {UpTo: 50e6, Count: 54}, {UpTo: 2e9, Count: 62}},
		Errors:  []load.ErrorCount{{Outcome: load.Timeout, Text: "no answer in time", Count: 61}, {Outcome: load.Error, Status: 404, Text: "item # not found", Count: 2}},
	}
	for at := time.Duration(0); at < min(elapsed, storyLength); at += storyStep {
		point := storyPoint(at, backAt, int64(s.Policy.Retries))
		s.Recent = append(s.Recent, point)
		s.InFlight = point.InFlight
		s.Totals.Offered += point.Offered
		s.Totals.Attempts += point.Attempts
		s.Totals.Late += point.Late
		for o, n := range point.Outcomes {
			s.Totals.Outcomes[o] += n
		}
	}
	s.Totals.Used = s.Totals.Outcomes[load.OK] + s.Totals.Outcomes[load.Error]
	s.Last = s.Recent[max(len(s.Recent)-2, 0)]
	s.Recent = append(s.Recent, load.Point{At: min(elapsed, storyLength)})
	return s
}

// storyPoint returns a quarter of a second of the story.
func storyPoint(at, backAt time.Duration, retries int64) load.Point {
	const each = storyRate / 4
	wave := time.Duration(20e6 * math.Sin(float64(at/storyStep)))
	p := load.Point{At: at, Offered: each, Attempts: each, InFlight: 2, P50: 12e6, P90: 25e6, P99: 60e6 + wave}
	p.Outcomes[load.OK] = each
	since := at - storyTrigger().At
	if since < 0 || backAt > 0 && at >= backAt {
		return p
	}
	p.Outcomes[load.OK], p.Outcomes[load.Timeout] = 0, each
	if since > 5*time.Second && at%time.Second == 0 {
		p.Outcomes[load.OK], p.Outcomes[load.Timeout] = 2, each-2
	}
	p.Attempts = each + min(int64(since/storyStep)*2, retries*each)
	p.Late = p.Attempts - each
	p.InFlight = min(60, int64(since/storyStep)*6)
	p.P50, p.P90, p.P99 = 1200e6, 1220e6, 1250e6
	return p
}

// judged adds the recovery from the trigger.
func judged(s load.Snapshot, r load.Recovery) load.Snapshot {
	r.Trigger = storyTrigger()
	s.Recoveries, s.Verdict = []load.Recovery{r}, r.Verdict
	return s
}

func finished(s load.Snapshot) load.Snapshot {
	s.Phase = load.Finished
	return s
}

func naive() *policy.Policy {
	p, _ := policy.Preset("naive", policy.WithTimeout(300*time.Millisecond))
	return p
}
func recommended() *policy.Policy {
	return policy.Recommended(policy.WithTimeout(300 * time.Millisecond))
}

// The moments of the story that are drawn in tests.
func loading() load.Snapshot {
	s := story(naive(), 6*time.Second, 0)
	s.Marks = []load.Mark{{At: 2 * time.Second, Text: "rate 60/s"}, {At: 2500 * time.Millisecond, Text: "3 retries"}}
	return s
}

func triggered() load.Snapshot {
	return judged(story(naive(), 9900*time.Millisecond, 0), load.Recovery{Verdict: load.Pending})
}

func comingBack() load.Snapshot {
	return judged(story(recommended(), 14200*time.Millisecond, 13*time.Second),
		load.Recovery{Verdict: load.Pending, Back: 1200 * time.Millisecond})
}

func recovered() load.Snapshot {
	return judged(finished(story(recommended(), storyLength, 13200*time.Millisecond)),
		load.Recovery{Verdict: load.Recovered, Took: 1200 * time.Millisecond, Before: 1, After: 1, Amplified: 1.02})
}

func collapsed() load.Snapshot {
	return judged(finished(story(naive(), storyLength, 0)),
		load.Recovery{Verdict: load.Collapsed, Before: 1, After: 0.03, Amplified: 3.9})
}
