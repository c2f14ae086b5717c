package calls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// TestUnconfirmed checks which events remain after confirmations, and that no more are looked at
// than it takes.
func TestUnconfirmed(t *testing.T) {
	var u Unconfirmed
	for n := range int64(10) {
		if many, ok := u.Add(n+1, fmt.Sprint(n%2)); many || !ok {
			t.Errorf("event %d: %t, %t", n, many, ok)
		}
	}
	u.Confirm(7)
	u.Confirm(3) // is no step back
	if _, ok := u.Add(5, "late"); !ok {
		t.Error("an event that has been confirmed in the meantime is refused")
	}
	if got, want := u.End(8), map[string]int{"0": 1, "1": 1}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, ok := u.Add(8, "late"); !ok {
		t.Error("an event that was confirmed before the end is refused")
	}
	if _, ok := u.Add(9, "late"); ok {
		t.Error("an event after the end is accepted")
	}
	if got := u.End(0); got != nil {
		t.Errorf("the second end: %v", got)
	}
}

// TestUnconfirmedWork checks that confirmations are asked for so rarely that each event is looked
// at a few times, although the peer has not confirmed any for long, and that memory is released.
func TestUnconfirmedWork(t *testing.T) {
	var u Unconfirmed
	const events = 100_000
	looked := 0
	for n := range int64(events) {
		if many, _ := u.Add(n+1, "x"); many {
			looked += len(u.events)
			u.Confirm(0)
		}
	}
	if looked > 2*events {
		t.Errorf("%d events were looked at %d times", events, looked)
	}
	u.Confirm(events)
	if u.Add(events+1, "x"); cap(u.events) > 10*fewEvents {
		t.Errorf("room for %d events is kept", cap(u.events))
	}
}

// TestAwait checks how long Await waits for a peer that confirms nothing.
func TestAwait(t *testing.T) {
	canceled := errors.New("canceled")
	later := func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	const minute = time.Minute
	for name, tt := range map[string]struct {
		age  time.Duration // of the event
		end  func(u *Unconfirmed, confirmed *bool, cancel context.CancelCauseFunc)
		want error
		most time.Duration
	}{
		"a new event":       {MaxUnconfirmed, nil, nil, 0},
		"at the first look": {minute, func(_ *Unconfirmed, confirmed *bool, _ context.CancelCauseFunc) { *confirmed = true }, nil, 0},
		"later": {minute, func(u *Unconfirmed, _ *bool, _ context.CancelCauseFunc) {
			later(3*time.Second, func() { u.Confirm(1) })
		}, nil, 3*time.Second + look},
		"the end of the connection": {minute, func(u *Unconfirmed, _ *bool, _ context.CancelCauseFunc) {
			later(3*time.Second, func() { u.End(0) })
		}, nil, 3*time.Second + look},
		"the deadline": {minute, nil, micro.ErrTimeout, 10 * time.Second},
		"the caller": {minute, func(_ *Unconfirmed, _ *bool, cancel context.CancelCauseFunc) {
			later(3*time.Second, func() { cancel(canceled) })
		}, canceled, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var u Unconfirmed
				u.Add(1, "x")
				<-time.After(tt.age)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				confirmed := false
				if tt.end != nil {
					tt.end(&u, &confirmed, cancel)
				}
				began := time.Now()
				err := u.Await(ctx, began.Add(10*time.Second), func() {
					if confirmed {
						u.Confirm(1)
					}
				})
				if took := time.Since(began); !errors.Is(err, tt.want) || took > tt.most {
					t.Errorf("%v after %v, want %v after at most %v", err, took, tt.want, tt.most)
				}
			})
		})
	}
}

// TestLost checks that events are counted and logged, and returned once.
func TestLost(t *testing.T) {
	var l Lost
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	if l.Add(log, "tcp", "items:3002", nil); out.Len() > 0 || l.Err() != nil {
		t.Errorf("%s, %v", out.String(), l.Err())
	}
	l.Add(log, "tcp", "items:3002", map[string]int{"viewed": 2, "sold": 1})
	l.Add(log, "tcp", "items:3002", map[string]int{"viewed": 1})
	err := l.Err()
	if want := "4 events may have been lost: 3 of viewed, 1 of sold"; err == nil || err.Error() != want || !errors.Is(err, micro.ErrConnectionLost) {
		t.Errorf("%v, want %s", err, want)
	}
	if text := out.String(); !strings.Contains(text, `error="1 event may have been lost: 1 of viewed"`) || !strings.Contains(text, "peer=items:3002") {
		t.Error(text)
	}
	if err := l.Err(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	many := map[string]int{}
	for n := range 2 * maxLostPatterns {
		many[fmt.Sprint(n)] = 1
	}
	l.Add(log, "tcp", "items:3002", many)
	var report *micro.LostEventsError
	if err := l.Err(); !errors.As(err, &report) || len(report.Events) != maxLostPatterns+1 || report.Events[otherPatterns] != maxLostPatterns {
		t.Errorf("%d patterns", len(report.Events))
	}
}
