// Package usage measures the CPU time and the memory of process groups.
package usage

import "time"

// Usage is what the processes of a group use.
type Usage struct {
	// CPU is the share of one core since the sample before, such as 1.5; negative if it is not
	// known yet.
	CPU float64
	// Memory is the resident memory, in bytes. What processes share counts for each.
	Memory int64
}

// total is what the processes of a group have used.
type total struct {
	cpu    time.Duration
	memory int64
}

// Sampler measures process groups. Its zero value is ready to use. It is used by one goroutine
// at a time.
type Sampler struct {
	at   time.Time
	last map[int]total
}

// Sample returns what the groups with these IDs use. What is not known, as on other systems than
// Linux, is missing.
func (s *Sampler) Sample(groups []int) map[int]Usage {
	now := time.Now()
	totals := totalsOf(groups)
	found := map[int]Usage{}
	for id, t := range totals {
		u := Usage{CPU: -1, Memory: t.memory}
		if before, ok := s.last[id]; ok && now.After(s.at) {
			u.CPU = max(float64(t.cpu-before.cpu), 0) / float64(now.Sub(s.at)) // processes may have ended
		}
		found[id] = u
	}
	s.at, s.last = now, totals
	return found
}
