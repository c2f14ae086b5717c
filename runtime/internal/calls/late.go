package calls

import (
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// maxMissed bounds how many calls that gave up are remembered.
const maxMissed = 4096

// missed remembers the latest calls that gave up and whose answers somebody wants
// to hear of all the same. The zero value is empty.
type missed struct {
	calls map[string]missedCall
	order []string // oldest first, from next on around
	next  int
}

type missedCall struct {
	at    time.Time
	trace *micro.Trace
}

func (m *missed) add(id string, trace *micro.Trace) {
	if m.calls == nil {
		m.calls = map[string]missedCall{}
	}
	if len(m.order) < maxMissed {
		m.order = append(m.order, id)
	} else {
		delete(m.calls, m.order[m.next])
		m.order[m.next] = id
		m.next = (m.next + 1) % maxMissed
	}
	m.calls[id] = missedCall{time.Now(), trace}
}

// find returns what is known of a call that gave up, and forgets it when its
// answer ends here.
func (m *missed) find(id []byte, last bool) (missedCall, bool) {
	found, ok := m.calls[string(id)]
	if ok && last {
		delete(m.calls, string(id))
	}
	return found, ok
}

// tell tells of the end of a late answer.
func (m missedCall) tell(remote []byte) {
	late := micro.LateReply{By: time.Since(m.at)}
	if remote != nil {
		late.Err = micro.RemoteError(append([]byte(nil), remote...))
	}
	m.trace.Late(late)
}
