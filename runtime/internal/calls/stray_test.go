package calls

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
)

// TestOverdue checks that a call that times out reports what has arrived instead of its
// reply, and shows it to its trace.
func TestOverdue(t *testing.T) {
	const other = "0123456789abcdef01234"
	tests := []struct {
		name   string
		arrive func(table *Table, deliver func(id, packet string), id string)
		shared bool
		want   string // after the text of ErrTimeout
		bad    bool
		trail  []string
	}{
		{name: "nothing", arrive: func(*Table, func(string, string), string) {}},
		{
			name: "no end",
			arrive: func(_ *Table, deliver func(id, packet string), id string) {
				deliver(id, `{"response":1}`)
			},
			want: `: the last packet of the reply has no "isDisposed": true`,
		},
		{
			name: "a status alone",
			arrive: func(_ *Table, deliver func(id, packet string), id string) {
				deliver(id, `{"status":"ok"}`)
			},
			want: `: the last packet of the reply has neither "response" nor "err" nor "isDisposed": true`,
		},
		{
			name: "isDisposed is false",
			arrive: func(_ *Table, deliver func(id, packet string), id string) {
				deliver(id, `{"response":1,"isDisposed":false}`)
			},
			want: `: the last packet of the reply has an "isDisposed" that is not true`,
		},
		{
			name: "an empty error",
			arrive: func(_ *Table, deliver func(id, packet string), id string) {
				deliver(id, `{"err":""}`)
			},
			want: `: the last packet of the reply has an empty "err" and no "isDisposed": true`,
		},
		{
			name: "no id",
			arrive: func(table *Table, _ func(id, packet string), _ string) {
				table.Ignore([]byte("first"), "has no id")
			},
			want: ": a reply was ignored: it has no id", bad: true,
			trail: []string{"first: has no id"},
		},
		{
			name: "another id",
			arrive: func(_ *Table, deliver func(id, packet string), _ string) {
				deliver(other, `1`)
			},
			want: ": a reply was ignored: it does not have the id of the request", bad: true,
			trail: []string{"1: does not have the id of the request"},
		},
		{
			name: "another id on a shared channel", shared: true,
			arrive: func(_ *Table, deliver func(id, packet string), _ string) {
				deliver(other, `1`)
			},
			want: ": a reply was ignored: it does not have the id of the request, so it may be for another caller", bad: true,
			trail: []string{"1: does not have the id of the request, so it may be for another caller"},
		},
		{
			name: "for this call",
			arrive: func(table *Table, _ func(id, packet string), id string) {
				table.IgnoreFor([]byte(id), []byte("x"), "is not JSON")
				table.IgnoreFor([]byte(other), []byte("y"), "is not JSON")
			},
			want: ": a reply was ignored: it is not JSON", bad: true,
			trail: []string{"x: is not JSON"},
		},
		{
			name: "too many and too large",
			arrive: func(table *Table, _ func(id, packet string), _ string) {
				for range 2 * maxStrays {
					table.Ignore([]byte(strings.Repeat("x", 2*maxStray)), "has no id")
				}
			},
			want: ": a reply was ignored: it has no id", bad: true,
			trail: slices.Repeat([]string{strings.Repeat("x", maxStray) + ": has no id"}, maxStrays),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := Table{Shared: tt.shared}
				var trail []string
				req := request(time.Minute)
				req.Trace = &micro.Trace{Stray: func(at time.Time, data []byte, why string) {
					trail = append(trail, string(data)+": "+why)
				}}
				c := begin(t, &table, req)
				tt.arrive(&table, func(id, packet string) { deliver(t, &table, id, packet) }, string(c.ID()))
				_, err := wait(t.Context(), c)
				if want := micro.ErrTimeout.Error() + tt.want; !errors.Is(err, micro.ErrTimeout) || err.Error() != want {
					t.Errorf("error %q, want %q", err, want)
				}
				if errors.Is(err, micro.ErrBadReply) != tt.bad {
					t.Errorf("%v matches ErrBadReply: %v", err, !tt.bad)
				}
				if diff := cmp.Diff(tt.trail, trail); diff != "" {
					t.Error(diff)
				}
				if table.watching != 0 {
					t.Errorf("%d calls are watching", table.watching)
				}
			})
		})
	}
}

// TestStraysOfOthers checks that a stray concerns only the calls that were pending when it
// arrived, and that replies to calls that have ended are none.
func TestStraysOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table Table
		ended := begin(t, &table, request(time.Second))
		id := string(ended.ID())
		deliver(t, &table, id, `{"response":1,"isDisposed":true}`)
		if _, err := wait(t.Context(), ended); err != nil {
			t.Error(err)
		}
		late := begin(t, &table, request(time.Minute))
		deliver(t, &table, id, `{"response":1,"isDisposed":true}`)
		if _, err := wait(t.Context(), late); err != micro.ErrTimeout { //nolint:errorlint // exactly this one
			t.Errorf("after a duplicate reply: %v", err)
		}
		table.Ignore([]byte("x"), "has no id")
		after := begin(t, &table, request(time.Minute))
		if _, err := wait(t.Context(), after); err != micro.ErrTimeout { //nolint:errorlint // exactly this one
			t.Errorf("a call that began after the stray: %v", err)
		}
	})
}

// TestManyWatching checks that a packet without an ID is not shown to many calls.
func TestManyWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table Table
		shown := 0
		var pending []*Call
		for range maxWatched + 1 {
			req := request(time.Minute)
			req.Trace = &micro.Trace{Stray: func(time.Time, []byte, string) { shown++ }}
			pending = append(pending, begin(t, &table, req))
		}
		table.Ignore([]byte("x"), "has no id")
		for _, c := range pending {
			if _, err := wait(t.Context(), c); !errors.Is(err, micro.ErrBadReply) {
				t.Error(err)
			}
		}
		if shown != 0 {
			t.Errorf("%d of %d calls were shown a packet that may be another's", shown, len(pending))
		}
	})
}
