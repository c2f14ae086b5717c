package load

import (
	"fmt"
	"math"
	"time"
)

// judge returns a Recovery for each trigger that has started and has an end. mu must
// be held.
func (r *recorder) judge(now time.Duration) []Recovery {
	r.settle(now)
	j := judge{cohorts: r.cohorts, seconds: r.coarse.points, final: r.frozen, end: r.ended, before: 1}
	if j.end == 0 {
		j.end = now
	}
	// While requests are in flight, their cohorts would look worse than they are.
	if j.known = j.end; !r.frozen {
		j.known = j.ripe(r.warmup)
	}
	var list []Recovery
	from := r.warmup
	for i, t := range r.triggers {
		if _, ends := t.End(); t.At > now || !ends {
			continue
		}
		end, until := r.aftermath(i, j.end)
		list = append(list, j.about(t, end, max(from, t.At-baseline), until))
		j.before = list[len(list)-1].Before
		from = min(end, until)
	}
	return list
}

// aftermath returns the time in which the recovery from trigger i is judged: from
// its end, or from that of the last trigger that overlaps it, to the start of the
// next trigger or the end of the run.
func (r *recorder) aftermath(i int, until time.Duration) (from, to time.Duration) {
	from, _ = r.triggers[i].End()
	for _, next := range r.triggers[i+1:] {
		if next.At >= from {
			return from, min(until, next.At)
		}
		if end, ends := next.End(); ends {
			from = max(from, end)
		}
	}
	return from, until
}

// judge holds the data for verdicts.
type judge struct {
	cohorts []Cohort
	seconds []Point
	final   bool
	known   time.Duration // until when all requests have an outcome
	end     time.Duration // until when requests are, or were, offered
	before  float64       // the share on time before the previous trigger, for one that overlaps it
}

// ripe returns the time until which all requests have an outcome.
func (j *judge) ripe(from time.Duration) time.Duration {
	for i := int(from / cohortStep); i < len(j.cohorts); i++ {
		if c := j.cohorts[i]; c.Ended < c.Due {
			return time.Duration(i) * cohortStep
		}
	}
	return min(time.Duration(max(len(j.cohorts)-1, 0))*cohortStep, j.end)
}

// about judges one trigger. The baseline is from from to the trigger, and the
// aftermath from end to until.
func (j *judge) about(t Trigger, end, from, until time.Duration) Recovery {
	r := Recovery{Trigger: t, Before: j.before}
	if sum := j.sum(from, t.At); sum.Due > 0 {
		r.Before, _ = sum.shares()
	}
	r.During, r.LateDuring = j.sum(t.At, min(end, j.known)).shares()
	if until <= end {
		r.Verdict, r.Why = Undecided, "the run ended before the trigger did"
		if !j.final {
			r.Verdict, r.Why = Pending, "the trigger is still active"
		}
		return r
	}
	known := min(until, j.known)
	// The last stretch is as long as the trigger, but at least as long as goodput must
	// stay back, so that it shows the final state and not the way there.
	tail := max(end, until-max(stays, min(t.Length, until-end)))
	r.After, r.LateAfter = j.sum(min(tail, max(known-stays, end)), known).shares()
	r.Amplified = j.amplified(tail, until)
	back, at := j.back(end, known, r.Before)
	r.Took, r.Back = at-end, back
	switch {
	case r.Before == 0:
		r.Verdict, r.Why = Undecided, "no request was answered on time before the trigger either"
	case back >= stays:
		j.came(&r, at, known)
	case !j.final && until == j.end:
		r.Verdict, r.Why = Pending, "on-time goodput has not been back for long enough yet"
	default:
		j.never(&r, until-end)
	}
	return r
}

// came judges a system whose goodput returned at a time.
func (j *judge) came(r *Recovery, at, known time.Duration) {
	rest, _ := j.sum(at, known).shares()
	if rest >= backShare*r.Before {
		r.Verdict = Recovered
		r.Why = fmt.Sprintf("on-time goodput returned to %.0f%% of its earlier level %.1f s after the trigger and stayed there", backShare*100, r.Took.Seconds())
		return
	}
	r.Verdict = Degraded
	r.Why = fmt.Sprintf("on-time goodput returned %.1f s after the trigger, then fell to %s of its earlier level", r.Took.Seconds(), percent(rest/r.Before))
	r.Took = 0
}

// never judges a system whose goodput did not return in the time after the trigger.
func (j *judge) never(r *Recovery, after time.Duration) {
	r.Took = 0
	of := r.After / r.Before
	state := fmt.Sprintf("on-time goodput was at %s of its earlier level, with %.1f attempts per request", percent(of), r.Amplified)
	switch needs := max(lengthsAfter*r.Trigger.Length, stays); {
	case after < needs:
		r.Verdict = Undecided
		r.Why = fmt.Sprintf("the run ended %.1f s after the trigger, too soon for a verdict (needs %s): %s", after.Seconds(), needs, state)
	case of < lostShare:
		r.Verdict = Collapsed
		r.Why = fmt.Sprintf("%.0f s after the trigger ended, %s", after.Seconds(), state)
	default:
		r.Verdict = Degraded
		r.Why = fmt.Sprintf("%.0f s after the trigger ended, %s", after.Seconds(), state)
	}
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", share*100) }

// span returns the cohorts of the requests due from one time to another.
func (j *judge) span(from, to time.Duration) []Cohort {
	first := int((from + cohortStep - 1) / cohortStep)
	last := min(int(to/cohortStep), len(j.cohorts))
	if first >= last {
		return nil
	}
	return j.cohorts[first:last]
}

// sum returns the sum of the cohorts due in a span.
func (j *judge) sum(from, to time.Duration) Cohort { return sumOf(j.span(from, to)) }

func sumOf(cohorts []Cohort) (sum Cohort) {
	for _, c := range cohorts {
		sum.Due, sum.Ended, sum.OK, sum.OnTime = sum.Due+c.Due, sum.Ended+c.Ended, sum.OK+c.OK, sum.OnTime+c.OnTime
	}
	return sum
}

// shares returns the shares of the due requests that were answered on time, and late.
func (c Cohort) shares() (onTime, late float64) {
	return share(c.OnTime, c.Due), share(c.OK-c.OnTime, c.Due)
}

// back finds when goodput returned after end: from then on, each second is as good
// as before the trigger, for as long as stays. It returns for how long goodput has
// been back, and since when; it is less than stays if more is not known yet.
func (j *judge) back(end, known time.Duration, before float64) (long, at time.Duration) {
	const second = int(time.Second / cohortStep)
	last := min(int(known/cohortStep), len(j.cohorts))
	for first := int((end + cohortStep - 1) / cohortStep); first < last; first++ {
		next := first
		for next+second <= last && next-first < int(stays/cohortStep) && sound(j.cohorts[next:next+second], before) {
			next += second
		}
		long, at = time.Duration(next-first)*cohortStep, time.Duration(first)*cohortStep
		if long >= stays || next+second > last {
			return long, at
		}
	}
	return 0, known
}

// sound reports whether enough of the requests due in the cohorts were answered on time.
func sound(cohorts []Cohort, before float64) bool {
	sum := sumOf(cohorts)
	// Floor forgives a fraction of a request, which matters at a few per second.
	return sum.Due > 0 && float64(sum.OnTime) >= math.Floor(backShare*before*float64(sum.Due))
}

// amplified returns the attempts per request in a span.
func (j *judge) amplified(from, to time.Duration) float64 {
	var attempts, offered int64
	for _, p := range j.seconds {
		if p.At >= from && p.At < to {
			attempts, offered = attempts+p.Attempts, offered+p.Offered
		}
	}
	return share(attempts, offered)
}
