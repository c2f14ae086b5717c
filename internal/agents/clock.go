package agents

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// reading is one comparison of two clocks: of the exchanges that were made, the one with the
// shortest round trip.
type reading struct {
	offset time.Duration // what to add to this clock's time for the other's
	bound  time.Duration // of the error
}

// exchange is the time when a request was sent and its reply received on this clock, and
// when the other received the request and sent the reply on its own.
type exchange struct{ sent, received, replied, arrived time.Duration }

func (e exchange) roundTrip() time.Duration { return e.arrived - e.sent - (e.replied - e.received) }

// read returns the reading of an exchange. The way there and the way back are assumed to
// take equally long, so the error is at most half of the round trip.
func (e exchange) read() reading {
	return reading{((e.received - e.sent) + (e.replied - e.arrived)) / 2, e.roundTrip() / 2}
}

// clockReply is the reply to a request for the time.
type clockReply struct {
	Received time.Duration `json:"received"`
	Sent     time.Duration `json:"sent"`
}

// exchanges is how many exchanges a measurement makes.
const exchanges = 30

// measure compares the clock of now with that of the other side, which ask asks.
func measure(ctx context.Context, now func() time.Duration, ask func(context.Context) ([]byte, error)) (reading, error) {
	best := reading{bound: -1}
	var last error
	for range exchanges {
		sent := now()
		data, err := ask(ctx)
		arrived := now()
		var theirs clockReply
		if err == nil {
			err = json.Unmarshal(data, &theirs)
		}
		if err != nil {
			if last = err; ctx.Err() != nil {
				break
			}
			continue
		}
		if one := (exchange{sent, theirs.Received, theirs.Sent, arrived}).read(); best.bound < 0 || one.bound < best.bound {
			best = one
		}
	}
	if best.bound < 0 {
		return best, fmt.Errorf("measure the clock: %w", last)
	}
	return best, nil
}
