package tui

import (
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// trial is the status of the current trigger: a prominent badge, and details.
type trial struct {
	badge  string // "" for a run without triggers
	look   Look
	detail string
}

// soon is how long before a trigger its countdown replaces the verdict of the previous
// one.
const soon = 3 * time.Second

// judge returns the status of a run's triggers. planned are the planned triggers, and
// recent is the share of requests that have succeeded recently.
func judge(s *load.Snapshot, planned []load.Trigger, recent float64) trial {
	next := upcoming(s, planned)
	if n := len(s.Recoveries); n > 0 && (next == nil || next.At-s.Elapsed > soon) {
		return judgeOne(s, &s.Recoveries[n-1], recent)
	}
	if next == nil {
		return trial{}
	}
	return trial{badge: fmt.Sprintf("%s in %s", next.Text, tenths(next.At-s.Elapsed)), look: AccentBadge}
}

// upcoming returns the next planned trigger, or nil.
func upcoming(s *load.Snapshot, planned []load.Trigger) *load.Trigger {
	if s.Phase >= load.Draining {
		return nil
	}
	var next *load.Trigger
	for i := range planned {
		t := &planned[i]
		if t.At > s.Elapsed && (next == nil || t.At < next.At) {
			next = t
		}
	}
	return next
}

// judgeOne returns the status of a trigger that has started.
func judgeOne(s *load.Snapshot, r *load.Recovery, recent float64) trial {
	end, ends := r.Trigger.End()
	switch r.Verdict {
	case load.Recovered, load.Degraded, load.Collapsed, load.Undecided:
		return verdictOf(r)
	}
	switch now := fmt.Sprintf("%s of the requests succeed", percent(recent)); {
	case !ends:
		return trial{"▼ " + r.Trigger.Text, BadBadge, now}
	case s.Elapsed < end:
		return trial{fmt.Sprintf("▼ %s: %s left", r.Trigger.Text, tenths(end-s.Elapsed)), BadBadge, now}
	case r.Back > 0:
		return trial{fmt.Sprintf("◔ back at 95%% for %s of 3 s", tenths(r.Back)), WarnBadge, now}
	default:
		t := trial{fmt.Sprintf("◌ not recovered, %s after %s", tenths(s.Elapsed-end), r.Trigger.Text), WarnBadge, now}
		if recent < 0.5 {
			t.look = BadBadge
		}
		return t
	}
}

// verdictOf returns the status of a trigger with a final verdict.
func verdictOf(r *load.Recovery) trial {
	t := trial{badge: glyph(r.Verdict) + " " + r.String(), look: badgeOf(r.Verdict)}
	switch r.Verdict {
	case load.Degraded, load.Collapsed:
		t.detail = aftermath(r)
	case load.Undecided:
		t.detail = r.Why
	}
	return t
}

// aftermath describes the final state after a trigger.
func aftermath(r *load.Recovery) string {
	share := r.After
	if r.Before > 0 {
		share /= r.Before
	}
	return fmt.Sprintf("on time: %s of its earlier level, %s", percent(min(share, 1)), perRequest(r.Amplified))
}

func perRequest(amplified float64) string { return fmt.Sprintf("%.1f attempts/request", amplified) }

// glyph distinguishes verdicts without colors.
func glyph(v load.Verdict) string {
	switch v {
	case load.Recovered:
		return "✔"
	case load.Degraded:
		return "◐"
	case load.Collapsed:
		return "✖"
	case load.Unjudged:
		return "·"
	}
	return "?"
}

func badgeOf(v load.Verdict) Look {
	switch v {
	case load.Recovered:
		return GoodBadge
	case load.Collapsed:
		return BadBadge
	}
	return WarnBadge
}

// percent formats a share without decimals: 3%. A share below 1 is never 100%, and a share
// above 0 is never 0%.
func percent(share float64) string {
	n := int(share*100 + 0.5)
	switch {
	case n == 100 && share < 1:
		n = 99
	case n == 0 && share > 0:
		return "<1%"
	}
	return fmt.Sprintf("%d%%", n)
}

// tenths formats a duration in seconds: 2.1 s.
func tenths(d time.Duration) string { return fmt.Sprintf("%.1f s", max(d, 0).Seconds()) }
