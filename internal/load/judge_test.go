package load

import (
	"strings"
	"testing"
	"time"
)

// history makes cohorts of 25 due requests (100/s) of which a share is answered,
// from one second to the next.
func history(shares ...float64) []Cohort {
	var list []Cohort
	for _, share := range shares {
		for range int(time.Second / cohortStep) {
			answered := int64(share*25 + 0.5)
			list = append(list, Cohort{Due: 25, Ended: 25, OK: answered, OnTime: answered})
		}
	}
	return list
}

// of repeats a share for some seconds.
func of(share float64, seconds int) (list []float64) {
	for range seconds {
		list = append(list, share)
	}
	return list
}

func join(parts ...[]float64) (all []float64) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// TestVerdicts judges a trigger that starts at second 10 and lasts 4 s.
func TestVerdicts(t *testing.T) {
	good, bad := of(1, 10), of(0, 4)
	cases := []struct {
		name   string
		shares []float64
		want   Verdict
		took   time.Duration
	}{
		{"back at once", join(good, bad, of(1, 12)), Recovered, 0},
		{"back after 2 s", join(good, bad, of(0.2, 2), of(1, 10)), Recovered, 2 * time.Second},
		{"back at 96%", join(good, bad, of(0.5, 1), of(0.96, 11)), Recovered, time.Second},
		{"never worse for it", join(good, of(1, 4), of(1, 12)), Recovered, 0},
		{"two good seconds are not three", join(good, bad, of(1, 2), of(0, 1), of(1, 2), of(0, 8)), Collapsed, 0},
		{"gone forever", join(good, bad, of(0.02, 13)), Collapsed, 0},
		{"stuck at half", join(good, bad, of(0.6, 13)), Degraded, 0},
		{"stuck just below", join(good, bad, of(0.92, 13)), Degraded, 0},
		{"back and gone again", join(good, bad, of(1, 4), of(0, 9)), Degraded, 0},
		{"too short to tell", join(good, bad, of(0.1, 6)), Undecided, 0},
		{"ends in the trigger", join(good, of(0, 3)), Undecided, 0},
		{"never worked", join(of(0, 10), bad, of(0, 13)), Undecided, 0},
		{"worked half before", join(of(0.5, 10), bad, of(0.5, 13)), Recovered, 0},
		{"slowly back", join(good, bad, of(0.3, 3), of(0.7, 3), of(1, 7)), Recovered, 6 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder()
			r.cohorts, r.ended, r.frozen = history(c.shares...), time.Duration(len(c.shares))*time.Second, true
			r.trigger(Trigger{At: 10 * time.Second, Length: 4 * time.Second, Text: "stall 4s"})
			got := r.judge(r.ended)
			if len(got) != 1 || got[0].Verdict != c.want || got[0].Took != c.took {
				t.Errorf("%+v\nwant %s in %s", got, c.want, c.took)
			}
			if got[0].Why == "" {
				t.Error("no reason")
			}
		})
	}
}

// TestVerdictOfSeveralTriggers checks that each trigger is judged until the next one
// starts, and that an endless one is not judged.
func TestVerdictOfSeveralTriggers(t *testing.T) {
	r := newRecorder()
	shares := join(of(1, 5), of(0, 2), of(1, 8), of(0, 2), of(0.1, 10))
	r.cohorts, r.ended, r.frozen = history(shares...), time.Duration(len(shares))*time.Second, true // 3 of 25 is 12%
	r.trigger(Trigger{At: 15 * time.Second, Length: 2 * time.Second, Text: "second"})
	r.trigger(Trigger{At: 5 * time.Second, Length: 2 * time.Second, Text: "first"})
	r.trigger(Trigger{At: time.Hour, Length: time.Second, Text: "never"})
	got := r.judge(r.ended)
	if len(got) != 2 || got[0].Verdict != Recovered || got[1].Verdict != Collapsed {
		t.Fatalf("%+v", got)
	}
	if s := r.snapshot(r.ended, 1); s.Verdict != Collapsed {
		t.Errorf("the run's verdict is %s, want the worst", s.Verdict)
	}
	if !strings.Contains(got[1].Why, "on-time goodput was at 12% of its earlier level") {
		t.Errorf("why: %s", got[1].Why)
	}
}

// TestVerdictOfTriggersThatOverlap checks that both are judged by the time after both,
// compared with the time before both. An endless one changes nothing.
func TestVerdictOfTriggersThatOverlap(t *testing.T) {
	for _, c := range []struct {
		before, after float64
		want          Verdict
	}{{1, 1, Recovered}, {1, 0, Collapsed}, {0.52, 0.52, Recovered}, {0.52, 0, Collapsed}} {
		r := newRecorder()
		shares := join(of(c.before, 10), of(0, 6), of(c.after, 14))
		r.cohorts, r.ended, r.frozen = history(shares...), time.Duration(len(shares))*time.Second, true
		r.trigger(Trigger{At: 10 * time.Second, Length: 4 * time.Second, Text: "long"})
		r.trigger(Trigger{At: 12 * time.Second, Length: 4 * time.Second, Text: "longer"})
		r.trigger(Trigger{At: 11 * time.Second, Text: "endless"})
		got := r.judge(r.ended)
		if len(got) != 2 || got[0].Verdict != c.want || got[1].Verdict != c.want {
			t.Fatalf("after %g: %+v\nwant both %s", c.after, got, c.want)
		}
		if got[1].Before != c.before {
			t.Errorf("after %g: the second is compared with %g, want what was before both", c.after, got[1].Before)
		}
	}
}

// TestVerdictDuringARun checks that a verdict is pending until it is known.
func TestVerdictDuringARun(t *testing.T) {
	r := newRecorder()
	r.cohorts = history(join(of(1, 5), of(0, 2), of(1, 2))...)
	for i := 7 * 4; i < len(r.cohorts); i++ {
		if i >= 8*4+2 {
			r.cohorts[i].Ended, r.cohorts[i].OK, r.cohorts[i].OnTime = 20, 20, 20 // five are still in flight
		}
	}
	r.trigger(Trigger{At: 5 * time.Second, Length: 2 * time.Second})
	got := r.judge(9 * time.Second)
	if len(got) != 1 || got[0].Verdict != Pending || got[0].Back != time.Second {
		t.Errorf("%+v, want pending, back for the one second that is known", got)
	}
}
