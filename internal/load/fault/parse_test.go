package fault

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want Fault
	}{
		{"latency=200ms", Fault{Kind: Latency, Share: 1, Delay: 200 * time.Millisecond}},
		{"latency=200ms±50ms@10s+5s", Fault{Kind: Latency, Share: 1, Delay: 200 * time.Millisecond, Spread: 50 * time.Millisecond, Start: 10 * time.Second, Length: 5 * time.Second}},
		{"latency=200ms+-50ms@1m", Fault{Kind: Latency, Share: 1, Delay: 200 * time.Millisecond, Spread: 50 * time.Millisecond, Start: time.Minute}},
		{"latency=1s share=20% first=3", Fault{Kind: Latency, Share: 0.2, Delay: time.Second, First: 3}},
		{"error=20%", Fault{Kind: Error, Share: 0.2, Status: 503, Message: "injected by msctl"}},
		{"error", Fault{Kind: Error, Share: 1, Status: 503, Message: "injected by msctl"}},
		{`error=20% status=429 message="too busy"`, Fault{Kind: Error, Share: 0.2, Status: 429, Message: "too busy"}},
		{`error message=busy  status=429 `, Fault{Kind: Error, Share: 1, Status: 429, Message: "busy"}},
		{`error message="é \"q\" 😀"`, Fault{Kind: Error, Share: 1, Status: 503, Message: `é "q" 😀`}},
		{"drop=10%", Fault{Kind: Drop, Share: 0.1}},
		{"drop-reply=5%", Fault{Kind: DropReply, Share: 0.05}},
		{"duplicate=0.5%", Fault{Kind: Duplicate, Share: 0.005}},
		{"reorder=7%", Fault{Kind: Reorder, Share: 0.07}},
		{"reset=1%", Fault{Kind: Reset, Share: 0.01}},
		{"cut=100%", Fault{Kind: Cut, Share: 1}},
		{"blackhole@10s+4s", Fault{Kind: Blackhole, Share: 1, Start: 10 * time.Second, Length: 4 * time.Second}},
		{"blackhole@0s+4s", Fault{Kind: Blackhole, Share: 1, Length: 4 * time.Second}},
		{"bandwidth=64KB/s", Fault{Kind: Bandwidth, Share: 1, BytesPerSecond: 64000}},
		{"bandwidth=1.5MB/s@2s", Fault{Kind: Bandwidth, Share: 1, BytesPerSecond: 1500000, Start: 2 * time.Second}},
		{"bandwidth=17B/s", Fault{Kind: Bandwidth, Share: 1, BytesPerSecond: 17}},
		{"stall@10s+4s", Fault{Kind: Stall, Share: 1, Start: 10 * time.Second, Length: 4 * time.Second}},
		{"pause@10s+4s", Fault{Kind: Pause, Share: 1, Start: 10 * time.Second, Length: 4 * time.Second}},
		{"drop pattern=cmd=createItem", Fault{Kind: Drop, Share: 1, Pattern: `{"cmd":"createItem"}`}},
		{`drop=50% first=3 pattern={ "v": 2, "cmd" : "create item" }`, Fault{Kind: Drop, Share: 0.5, First: 3, Pattern: `{"cmd":"create item","v":2}`}},
		{`drop pattern="a b"`, Fault{Kind: Drop, Share: 1, Pattern: "a b"}},
		{`drop pattern="a=b"`, Fault{Kind: Drop, Share: 1, Pattern: "a=b"}},
		{"drop pattern=item.v1.viewed", Fault{Kind: Drop, Share: 1, Pattern: "item.v1.viewed"}},
	}
	for _, test := range tests {
		got, err := Parse(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.text, diff)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%s became %s, which is %+v, %v", test.text, got, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		text    string
		offset  int
		message string
	}{
		{"", 0, "a fault begins with its kind: bandwidth, blackhole, cut, drop, drop-reply, duplicate, error, latency, pause, reorder, reset, stall"},
		{"latencie=1s", 0, `there is no fault "latencie": did you mean latency?`},
		{"  xyzzy", 2, `there is no fault "xyzzy": use one of bandwidth, blackhole, cut, drop, drop-reply, duplicate, error, latency, pause, reorder, reset, stall`},
		{"latency", 7, "latency needs a delay: latency=200ms or latency=200ms±50ms"},
		{"latency=", 8, `a delay is a duration such as 200ms or 10s, not ""`},
		{"latency=20%", 8, `a delay is a duration such as 200ms or 10s, not "20%"`},
		{"latency=0s", 8, "a delay is longer than 0"},
		{"latency=-1s", 8, `a delay is a duration such as 200ms or 10s, not "-1s"`},
		{"latency=20000h", 8, "a delay is at most 10000h"},
		{"latency=1s±2s", 12, "a spread of more than the delay would deliver messages before they came: use at most 1s"},
		{"latency=1s+-x", 12, `the spread of a delay is a duration such as 200ms or 10s, not "x"`},
		{"error=20", 6, `a share is a percentage such as 20% or 0.5%, not "20"`},
		{"error=0%", 6, "a share is more than 0% and at most 100%, not 0%"},
		{"error=101%", 6, "a share is more than 0% and at most 100%, not 101%"},
		{"error=1e1%", 6, `a share is a percentage such as 20% or 0.5%, not "1e1%"`},
		{"error=20% share=10%", 10, "the share stands behind the kind: error=20%"},
		{"error status=42", 13, `a status is a number from 100 to 599, such as 429, not "42"`},
		{`error message="too busy`, 14, `this message has no closing quote ("), or a backslash that escapes nothing`},
		{`error message=""`, 14, `the message is empty: leave message=… out for "injected by msctl"`},
		{`error message="a"b`, 17, "the message has ended here: a space comes before what follows"},
		{"drop status=400", 5, "status does not go with drop, only with error"},
		{"drop first=0", 11, `first is a number of messages from 1 to 1000000000, not "0"`},
		{"drop first=1 first=2", 13, "first is there twice"},
		{"drop first", 10, "first needs a value: first=…"},
		{"drop frist=1", 5, `"frist" is not known here: did you mean first=…?`},
		{"drop , 3", 5, `"," is not known here: after the fault come share=…, status=…, message=…, first=…, pattern=…`},
		{"drop pattern=", 13, `the pattern is empty: cmd=createItem, {"cmd":"createItem"} or item.v1.viewed`},
		{`drop pattern={"cmd":}`, 20, "the pattern is not JSON: unexpected '}', expected a JSON value"},
		{"drop pattern=a first=3", 14, `a pattern without quotes has no spaces, quotes or braces, and is the last: write it as JSON, {"cmd":"x"} or "a b"`},
		{"blackhole=20%", 9, "blackhole takes no value: say when it acts, blackhole@10s+4s"},
		{"bandwidth", 9, "bandwidth needs a rate: bandwidth=64KB/s"},
		{"bandwidth=64", 10, `a bandwidth is bytes a second, such as 64KB/s or 1.5MB/s, not "64"`},
		{"bandwidth=0B/s", 10, "a bandwidth is from 1B/s to 1000GB/s"},
		{"bandwidth=1KB/s pattern=a", 16, "pattern does not go with bandwidth, only with latency, error, drop, drop-reply, duplicate, reorder, reset, cut, blackhole, stall"},
		{"stall", 5, "stall needs an end: stall@10s+4s begins after 10 s and lasts 4 s"},
		{"stall@10s", 9, "stall needs an end: stall@10s+4s begins after 10 s and lasts 4 s"},
		{"stall@10s+", 10, `the length of a fault is a duration such as 200ms or 10s, not ""`},
		{"drop@later", 5, `the start of a fault is a duration such as 200ms or 10s, not "later"`},
		{"drop\xff", 0, "a fault is UTF-8 text"},
	}
	for _, test := range tests {
		_, err := Parse(test.text)
		var problem *SyntaxError
		if !errors.As(err, &problem) {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(SyntaxError{test.offset, test.message}, *problem); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"latency=200ms±50ms@10s+5s share=20%", "latency=1h2m3s+-1ns", "drop@1h+1m", "drop@10m0s+1h0m1s", `error=33.3% status=429 message="too \x41 busy" first=9`,
		"bandwidth=64KB/s", "stall@10s+4s", `drop pattern={"cmd":"a\nb","é":1e3}`, `drop pattern="\ud83d"`, "drop pattern=cmd=x", "reorder=0.0000001%", "drop pattern=\"{\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		one, err := Parse(text)
		if err != nil {
			var problem *SyntaxError
			if !errors.As(err, &problem) || problem.Offset < 0 || problem.Offset > len(text) || problem.Message == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := Parse(one.String())
		if err != nil || again != one {
			t.Fatalf("%q became %q: %+v is not %+v, %v", text, one, again, one, err)
		}
	})
}
