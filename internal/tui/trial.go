package tui

import (
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// trial is how it stands with the trigger that matters now: a badge that is
// seen from across the room, and what is behind it.
type trial struct {
	badge  string // "" for a run without triggers
	look   look
	detail string
}

// soon is how long before a trigger its coming is more than the last one's
// verdict.
const soon = 3 * time.Second

// judge tells how it stands with a run's triggers. planned are those that are
// known before they begin; lately is the share of requests answered in the last
// moments.
func judge(s *load.Snapshot, planned []load.Trigger, lately float64) trial {
	next := upcoming(s, planned)
	if n := len(s.Recoveries); n > 0 && (next == nil || next.At-s.Elapsed > soon) {
		return judgeOne(s, &s.Recoveries[n-1], lately)
	}
	if next == nil {
		return trial{}
	}
	return trial{badge: fmt.Sprintf("%s in %s", next.Text, tenths(next.At-s.Elapsed)), look: accentBadge}
}

// upcoming is the next planned trigger that has not begun.
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

// judgeOne tells how it stands with a trigger that has begun.
func judgeOne(s *load.Snapshot, r *load.Recovery, lately float64) trial {
	end, ends := r.Trigger.End()
	switch r.Verdict {
	case load.Recovered, load.Degraded, load.Collapsed, load.Undecided:
		return verdictOf(r)
	}
	switch now := fmt.Sprintf("%s of the requests are answered", percent(lately)); {
	case !ends:
		return trial{"▼ " + r.Trigger.Text, badBadge, now}
	case s.Elapsed < end:
		return trial{fmt.Sprintf("▼ %s: %s left", r.Trigger.Text, tenths(end-s.Elapsed)), badBadge, now}
	case r.Back > 0:
		return trial{fmt.Sprintf("◔ back at 95 %% for %s of 3 s", tenths(r.Back)), warnBadge, now}
	default:
		t := trial{fmt.Sprintf("◌ not back, %s after %s", tenths(s.Elapsed-end), r.Trigger.Text), warnBadge, now}
		if lately < 0.5 {
			t.look = badBadge
		}
		return t
	}
}

// verdictOf is a verdict that is known.
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

// aftermath is what a trigger has left behind.
func aftermath(r *load.Recovery) string {
	share := r.After
	if r.Before > 0 {
		share /= r.Before
	}
	return fmt.Sprintf("goodput %s of before, %s", percent(min(share, 1)), perRequest(r.Amplified))
}

func perRequest(amplified float64) string { return fmt.Sprintf("%.1f attempts a request", amplified) }

// glyph tells verdicts apart where there are no colours.
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

func badgeOf(v load.Verdict) look {
	switch v {
	case load.Recovered:
		return goodBadge
	case load.Collapsed:
		return badBadge
	}
	return warnBadge
}

// percent is a share without decimals: 3 %. What is not all is never 100 %, and
// what is more than nothing never 0 %.
func percent(share float64) string {
	n := int(share*100 + 0.5)
	switch {
	case n == 100 && share < 1:
		n = 99
	case n == 0 && share > 0:
		return "<1 %"
	}
	return fmt.Sprintf("%d %%", n)
}

// tenths is a duration in seconds: 2.1 s.
func tenths(d time.Duration) string { return fmt.Sprintf("%.1f s", max(d, 0).Seconds()) }
